package httpcheck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/noren-dev/noren/internal/action"
)

// ClosedParams are the parameters of http/closed.
type ClosedParams struct {
	URLs URLs `json:"urls"`
	// Mark is the token in this closing's page.
	Mark string `json:"mark"`
	// Probe sends edge.ProbeHeader, which sees the page also from an address
	// that the staff bypass lets through.
	Probe bool `json:"probe,omitempty"`
	// Plain also sends a request without that header once the probe sees the
	// page, and tells with the verdict where it is let through: that is right if
	// this machine is staff's, and wrong if it is a proxy's address that passes.
	Plain bool `json:"plain,omitempty"`
	// Consecutive is how many answers in a row must be ours, 3 by default.
	Consecutive int `json:"consecutive,omitempty"`
}

// Validate checks the parameters without I/O.
func (p ClosedParams) Validate() error {
	if p.Mark == "" {
		return errors.New("mark: without the mark of the page, our page cannot be told from another")
	}
	if err := validConsecutive(p.Consecutive); err != nil {
		return err
	}
	_, err := p.URLs.parse()
	return err
}

func validConsecutive(n int) error {
	if n < 0 || n > maxConsecutive {
		return fmt.Errorf("consecutive: %d is not between 1 and %d (0 means %d)", n, maxConsecutive, defaultConsecutive)
	}
	return nil
}

func consecutive(n int) int {
	if n == 0 {
		return defaultConsecutive
	}
	return n
}

// closed is the check http/closed.
type closed struct {
	params ClosedParams
	look   look
}

func openClosed(p *prober, params ClosedParams) (*closed, error) {
	urls, err := params.URLs.parse()
	if err != nil {
		return nil, err
	}
	c := &closed{params: params}
	c.look = look{prober: p, urls: urls, headers: []http.Header{header(params.Probe, "")}, consecutive: consecutive(params.Consecutive), wrong: c.wrong}
	return c, nil
}

// Target names the URLs.
func (c *closed) Target() string { return c.params.URLs.target() }

// Check asks every address of every URL.
func (c *closed) Check(ctx context.Context) (action.Verdict, error) {
	r, err := c.look.run(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	v := c.look.verdict(r, "every address answers with this closing's page", "not closed yet")
	if v.OK && c.params.Probe {
		err = c.tellPassing(ctx, r, &v)
	}
	return v, err
}

func (c *closed) wrong(u *url.URL, a answer) string {
	ours := a.marked && a.mark == c.params.Mark
	switch {
	case ours && a.status == http.StatusServiceUnavailable:
		return ""
	case ours:
		return fmt.Sprintf("noren's page with status %d instead of 503: something before the door changes the status", a.status)
	default:
		return describe(u, a)
	}
}
