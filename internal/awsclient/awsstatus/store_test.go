package awsstatus

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/testaws"
)

// TestBareAnswers: a store that is not quite S3, or something on the way, leaves
// out what AWS always says. It is no reason to crash with customers locked out.
func TestBareAnswers(t *testing.T) {
	testaws.Isolate(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/example-status/a.json": // without a time
			w.Header().Set("ETag", `"1"`)
			fmt.Fprint(w, "{}")
		case "/":
			w.Header().Set("Content-Type", "text/xml")
			fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><UserId>A</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		default: // an invalidation, of which nothing is said
			w.WriteHeader(http.StatusCreated)
		}
	}))
	t.Cleanup(server.Close)
	s, err := Open(t.Context(), Config{AWS: awsclient.Config{Region: testaws.Region, Endpoint: server.URL}, Bucket: "example-status", Key: "a.json", Distribution: "E1", Path: "/a.json"},
		driver.Env{Name: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Document(t.Context())
	if err != nil || string(o.Data) != "{}" {
		t.Fatalf("%s, %v", o.Data, err)
	}
	if told, err := s.Invalidate(t.Context(), o); !errors.Is(err, action.ErrUnavailable) || told.Done {
		t.Errorf("%+v, %v", told, err)
	}
}
