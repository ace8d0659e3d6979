package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// An Event is what is posted: a CloudEvent in structured mode. Source and ID name
// it for ever, also when it is posted again.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            Data      `json:"data"`
}

// Data is what happened, and the run as it is now.
type Data struct {
	Text string   `json:"text"`
	Try  []string `json:"try,omitempty"`
	// Loud is set where people should look up.
	Loud bool `json:"loud"`
	Run  Run  `json:"run"`
}

// Run is a run as it is when the event is posted, which may be after it.
type Run struct {
	ID          string    `json:"id"`
	Closing     string    `json:"closing"`
	Kind        string    `json:"kind"`
	Status      string    `json:"status"`
	Environment string    `json:"environment"`
	Services    []string  `json:"services"`
	By          string    `json:"by"`
	Reason      string    `json:"reason,omitempty"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until,omitzero"`
	Title       string    `json:"title"`
}

// typePrefix begins the type of every event.
const typePrefix = "dev.noren.run."

// hear posts the notices in their order, each kept as soon as it was taken.
func hear(ctx context.Context, c *conn, h driver.Hearing) error {
	s := h.Story
	for _, n := range h.Notices {
		e := Event{SpecVersion: "1.0", ID: s.Run + "/" + strconv.FormatInt(n.Seq, 10), Source: "/noren/" + url.PathEscape(s.Environment),
			Type: typePrefix + string(n.Kind), Subject: s.Run, Time: n.At.UTC(), DataContentType: "application/json",
			Data: Data{Text: n.Text, Try: n.Try, Loud: n.Loud, Run: Run{ID: s.Run, Closing: s.Closing, Kind: s.Kind, Status: s.Status,
				Environment: s.Environment, Services: s.Services, By: s.By, Reason: s.Reason, Since: s.Since.UTC(), Until: s.Until.UTC(), Title: s.Title}}}
		if s.Until.IsZero() {
			e.Data.Run.Until = time.Time{}
		}
		if err := c.post(ctx, e); err != nil {
			return err
		}
		if err := h.Keep(ctx, n.Seq, ""); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) post(ctx context.Context, e Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(c.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("webhook-id", e.ID)
	req.Header.Set("webhook-timestamp", at)
	req.Header.Set("webhook-signature", "v1,"+sign(c.secret, e.ID, at, body))
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err()
		}
		return &fault.Fault{Code: fault.Unavailable, Summary: "webhook does not answer", Detail: fmt.Sprintf("%s did not answer: %v.", c.cfg.URL, err),
			Err: fmt.Errorf("%w: %w", action.ErrUnavailable, err)}
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection is used again
	return c.refused(res)
}

// refused is nil if the receiver took the event.
func (c *conn) refused(res *http.Response) error {
	s := res.StatusCode
	if s/100 == 2 {
		return nil
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "webhook refuses the event", Detail: fmt.Sprintf("%s answered %s.", c.cfg.URL, res.Status)}
	switch {
	case s/100 == 3:
		f.Detail += " A signed event is not sent elsewhere: give that URL."
	case s/100 == 5, s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s == http.StatusTooEarly:
		f.Code, f.Err = fault.Unavailable, fmt.Errorf("%w: %w", action.ErrUnavailable, asked(res.Header.Get("Retry-After")))
	}
	return f
}

// asked is how long a receiver asks to wait, as an error.
type asked string

func (a asked) Error() string { return "refused for now" }

// RetryAfter is zero if it does not say in seconds.
func (a asked) RetryAfter() time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(string(a)))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// sign is the signature of an event: HMAC-SHA256 over its id, the time at which
// it is sent, and its body as sent.
func sign(secret []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Sizes of a secret in bytes. Source: https://www.standardwebhooks.com
const shortestSecret, longestSecret = 24, 64

// readSecret reads the secret and decodes it.
func readSecret(k vendorhttp.Key) ([]byte, error) {
	text, err := k.Read("webhook")
	if err != nil {
		return nil, err
	}
	encoded, ok := strings.CutPrefix(text, "whsec_")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) < shortestSecret || len(secret) > longestSecret {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "secret cannot be used",
			Detail: fmt.Sprintf("What is in %s is no secret of Standard Webhooks: whsec_ and %d to %d bytes in base64.", k, shortestSecret, longestSecret),
			Try:    []string{"echo whsec_$(openssl rand -base64 32)     # a new one; the receiver needs it, too"}}
	}
	return secret, nil
}
