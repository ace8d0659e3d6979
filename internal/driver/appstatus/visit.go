package appstatus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/noren-dev/noren/internal/appstatus"
)

// visitPatience bounds one look at the address of apps, which give up sooner.
const visitPatience = 10 * time.Second

// An answer is what an app would get.
type answer struct {
	status   int
	body     []byte
	document *appstatus.Document // nil if it is none
	words    string              // what it is instead
}

// visit asks for the document as an app does: nothing in the request asks a cache
// on the way to look again, for then what it shows to others would not be seen.
func (b *bucket) visit(ctx context.Context, url string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, visitPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", url, err)
	}
	req.Header.Set("User-Agent", "noren")
	res, err := b.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("no answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, appstatus.MaxSize+1))
	if err != nil {
		return answer{}, fmt.Errorf("%s: the answer broke off: %w", url, err)
	}
	a := answer{status: res.StatusCode, body: body}
	if res.StatusCode != http.StatusOK {
		a.words = fmt.Sprintf("%s answers %s", url, res.Status)
		return a, nil
	}
	if a.document, err = appstatus.Parse(body); err != nil {
		a.document, a.words = nil, fmt.Sprintf("%s answers something else than a status document: %v", url, err)
	}
	return a, nil
}

// visitor makes the client that visits. Every look opens a connection of its own,
// since an address may lead to many servers.
func visitor() *http.Client {
	return &http.Client{Timeout: visitPatience, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("it leads from one address to the next without end")
			}
			return nil
		}}
}
