package kubecopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// ErrReadOnly is returned for a request to a real cluster that is no GET.
var ErrReadOnly = errors.New("a rehearsal only reads the real cluster")

// ReadOnly lets GET requests through to next, and refuses any other before it
// is sent.
func ReadOnly(next http.RoundTripper) http.RoundTripper { return readOnly{next} }

type readOnly struct{ next http.RoundTripper }

func (t readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, ErrReadOnly)
	}
	return t.next.RoundTrip(r)
}

const (
	// sourceTimeout bounds one request to the real API server: less than what
	// client-go waits for the copy, so that the error tells which did not answer.
	sourceTimeout = 15 * time.Second
	// maxAnswer is how much of an answer is read: far more than a page of 500 objects.
	maxAnswer = 256 << 20
)

// A source is a real API server, to be read.
type source struct {
	base   *url.URL
	client *http.Client
}

func newSource(config *rest.Config) (*source, error) {
	config = rest.CopyConfig(config)
	config.Timeout = sourceTimeout
	config.GroupVersion = &schema.GroupVersion{}
	config.Wrap(ReadOnly)
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	return &source{base, client}, nil
}

// An answer is what the real API server said, word for word.
type answer struct {
	code        int
	contentType string
	body        []byte
}

func (a answer) ok() bool { return a.code == http.StatusOK }

// get asks for a path below the server's root. An answer that is not OK is no
// error: the driver that asked is to see it.
func (s *source) get(ctx context.Context, path, query, accept string) (answer, error) {
	u := *s.base
	u.Path, u.RawQuery = s.base.JoinPath(path).Path, query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return answer{}, fmt.Errorf("read %s: %w", path, err)
	}
	req.Header.Set("Accept", accept)
	res, err := s.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("read %s of the real API server: %w", path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read %s of the real API server: the answer broke off: %w", path, err)
	}
	return answer{res.StatusCode, res.Header.Get("Content-Type"), body}, nil
}
