package vendorhttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// answerLimit bounds what is read of an answer: one page of a list.
const answerLimit = 64 << 20

// Options are what a Client is made of.
type Options struct {
	System string // for people: "Datadog"
	Base   string // what paths are appended to
	// Headers are sent with every request, beside those of Keys.
	Headers map[string]string
	// Keys are the headers that let noren in: each the word before the key, such as
	// "Bearer ", and the key.
	Keys   map[string]Secret
	CAFile string
	// Pace is how often the system may be asked; zero: as often as need be.
	Pace Pace
}

// A Secret is a header's value that is never shown.
type Secret struct {
	Prefix string
	Key    Key
}

// A Client calls one system.
type Client struct {
	system, base string
	headers      map[string]string
	secrets      []string
	held         []string // where the keys are, for people
	http         *http.Client
	turns        *turns // nil: no pace
}

// New reads the keys and makes a client. It asks nothing yet.
func New(o Options) (*Client, error) {
	c := &Client{system: o.System, base: strings.TrimSuffix(o.Base, "/"), headers: map[string]string{"Accept": "application/json"}}
	for name, value := range o.Headers {
		c.headers[name] = value
	}
	for name, s := range o.Keys {
		key, err := s.Key.Read(o.System)
		if err != nil {
			return nil, err
		}
		if key == "" {
			continue
		}
		c.headers[name] = s.Prefix + key
		c.secrets, c.held = append(c.secrets, key), append(c.held, s.Key.String())
	}
	if o.Pace.Calls > 0 {
		c.turns = &turns{pace: o.Pace}
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		pool := x509.NewCertPool()
		if err == nil && !pool.AppendCertsFromPEM(pem) {
			err = errors.New("no certificate in PEM is in it")
		}
		if err != nil {
			return nil, &fault.Fault{Code: fault.Invalid, Summary: "ca_file cannot be used", Err: err,
				Detail: fmt.Sprintf("%s is to vouch for %s: %v.", o.CAFile, o.System, err)}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	// A key is sent nowhere but to the base.
	c.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// A Request is one call. What names the thing that it is about, in errors.
type Request struct {
	Method, Path string
	Query        url.Values
	Body         any // sent as JSON; nil: none
	What         string
}

// Call makes the request and decodes the answer into into, if that is not nil. An
// answer other than 2xx is an error, see [Status].
func (c *Client) Call(ctx context.Context, r Request, into any) error {
	var body io.Reader
	if r.Body != nil {
		raw, err := json.Marshal(r.Body)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.system, r.What, err)
		}
		body = bytes.NewReader(raw)
	}
	target := c.base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, body)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", c.system, r.What, err)
	}
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.turn(ctx, r); err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.lost(ctx, r, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return c.lost(ctx, r, err)
	}
	if res.StatusCode/100 != 2 {
		return c.refused(r, res, raw)
	}
	if into == nil || len(raw) == 0 && res.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return c.stranger(r, fmt.Sprintf("it answered %d with something else than its JSON: %v", res.StatusCode, err))
	}
	return nil
}

// lost is the error of a call without an answer. Whoever cancelled the call knows
// it; everything else may be tried again.
func (c *Client) lost(ctx context.Context, r Request, err error) error {
	err = errors.New(c.Clean(err.Error()))
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %s: %w", c.system, r.What, context.Canceled)
	}
	return &fault.Fault{Code: fault.Unavailable, Summary: c.system + " does not answer",
		Detail: fmt.Sprintf("No answer about %s from %s at %s: %v.", r.What, c.system, c.base, err), Err: fmt.Errorf("%w: %w", action.ErrUnavailable, err)}
}

func (c *Client) stranger(r Request, how string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "this is not the API of " + c.system,
		Detail: fmt.Sprintf("%s was asked about %s, and %s. Is its URL right?", c.base, r.What, c.Clean(how))}
}

// A Refusal is an answer other than 2xx.
type Refusal struct {
	Status int
	Words  string // of the system, cleaned
	after  time.Duration
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("status %d", r.Status)
	if r.Words != "" {
		text += ": " + r.Words
	}
	return text
}

// RetryAfter is how long the system asks to wait; it makes the refusal a
// driver.Later.
func (r *Refusal) RetryAfter() time.Duration { return r.after }

// Status is the HTTP status of a call that was refused, 0 of any other error.
func Status(err error) int {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Status
	}
	return 0
}

// refused says what a refusal means to a person.
func (c *Client) refused(r Request, res *http.Response, raw []byte) error {
	refusal := &Refusal{Status: res.StatusCode, Words: c.Clean(words(raw)), after: retryAfter(res.Header)}
	if crowded := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == 420; crowded && refusal.after == 0 && c.turns != nil {
		refusal.after = c.turns.pace.Per / 6 // another process asks, too: some tries last for the whole span
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: c.system + " refuses it",
		Detail: fmt.Sprintf("%s about %s: %s.", c.system, r.What, strings.TrimSuffix(refusal.Error(), ".")), Err: refusal}
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		f.Code, f.Summary = fault.Denied, c.system+" refuses the key"
		f.Detail += " " + c.whichKey()
	case s == http.StatusNotFound:
		f.Code, f.Summary = fault.NotFound, "not found in "+c.system
	case s/100 == 3:
		return c.stranger(r, fmt.Sprintf("it sends elsewhere (status %d), where noren takes no key", s))
	case s == http.StatusTooManyRequests, s == 420, s == http.StatusRequestTimeout, s == http.StatusTooEarly, s/100 == 5:
		f.Code, f.Summary, f.Err = fault.Unavailable, c.system+" cannot do it now", fmt.Errorf("%w: %w", action.ErrUnavailable, refusal)
	}
	return f
}

func (c *Client) whichKey() string {
	if len(c.held) == 0 {
		return "noren has no key for it: say with token_env or token_file where one is."
	}
	return "noren's key is in " + strings.Join(c.held, " and ") + "; is it of this account and region, and may it do this?"
}

// Clean takes the keys out of a text: a system may say in an error what it was
// sent.
func (c *Client) Clean(text string) string {
	for _, s := range c.secrets {
		text = strings.ReplaceAll(text, s, "•••")
	}
	return text
}

// retryAfter is how long a system asks to wait: in seconds, as Retry-After, or as
// Datadog's X-RateLimit-Reset, which is a time left and no moment.
// Source: https://docs.datadoghq.com/api/latest/rate-limits/
func retryAfter(h http.Header) time.Duration {
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset", "Ratelimit-Reset"} {
		if n, err := strconv.Atoi(strings.TrimSpace(h.Get(name))); err == nil && n >= 0 {
			return time.Duration(n) * time.Second
		}
	}
	return 0
}

// longestWords is how much of an answer an error quotes.
const longestWords = 300

// words are what a body says, in one line: what stands at the places where
// systems put their errors, or else the text.
func words(raw []byte) string {
	var found []string
	var said any
	if json.Unmarshal(raw, &said) == nil {
		found = gather(said, 0)
	}
	text := strings.Join(found, "; ")
	if text == "" {
		text = string(raw)
	}
	text = strings.Join(strings.Fields(text), " ")
	if strings.HasPrefix(text, "<") {
		return "a page of HTML"
	}
	if runes := []rune(text); len(runes) > longestWords {
		text = string(runes[:longestWords]) + " …"
	}
	return text
}

// gather finds the sentences of an error, however deep.
func gather(v any, depth int) []string {
	var all []string
	switch v := v.(type) {
	case string:
		if v != "" {
			all = append(all, v)
		}
	case []any:
		for _, item := range v {
			all = append(all, gather(item, depth+1)...)
		}
	case map[string]any:
		for _, key := range []string{"message", "detail", "title", "error", "errors", "msg"} {
			if inner, ok := v[key]; ok && depth < 4 {
				all = append(all, gather(inner, depth+1)...)
			}
		}
	}
	return all
}
