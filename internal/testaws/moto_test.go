package testaws

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestStart(t *testing.T) {
	s := Start(t)
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(s.Endpoint))
	if err != nil {
		t.Fatal(err)
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(who.Account) != Account {
		t.Fatalf("%v, %v", who, err)
	}
}
