package testaws

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Serve runs a server for this test, empty, and leaves it to its callers to have
// credentials, as [Server.Config] has: a test that calls it may be parallel. It ends
// with the test.
func Serve(t testing.TB) *Server {
	t.Helper()
	s, stop, err := Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// Config are the SDK's settings for working on this server directly.
func (s *Server) Config() aws.Config {
	return aws.Config{Region: Region, BaseEndpoint: aws.String(s.Endpoint), Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}
