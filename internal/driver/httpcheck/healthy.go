package httpcheck

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/noren-dev/noren/internal/action"
)

// HealthyParams are the parameters of http/healthy.
type HealthyParams struct {
	URLs URLs `json:"urls"`
	// Expect is the status of a healthy answer, 200 by default.
	Expect int `json:"expect,omitempty"`
	// NotMark refuses a page of noren's even if its status is the expected one:
	// after opening, and where a door answers health checks by itself.
	NotMark bool `json:"notMark,omitempty"`
	// Pass goes behind the curtain as staff do, in edge.PassHeader.
	Pass string `json:"pass,omitempty"`
}

// Validate checks the parameters without I/O.
func (p HealthyParams) Validate() error {
	if p.Expect != 0 && (p.Expect < 100 || p.Expect > 599) {
		return fmt.Errorf("expect: %d is not an HTTP status", p.Expect)
	}
	_, err := p.URLs.parse()
	return err
}

// healthy is the check http/healthy.
type healthy struct {
	params HealthyParams
	look   look
}

func openHealthy(p *prober, params HealthyParams) (*healthy, error) {
	urls, err := params.URLs.parse()
	if err != nil {
		return nil, err
	}
	if params.Expect == 0 {
		params.Expect = http.StatusOK
	}
	h := &healthy{params: params}
	h.look = look{prober: p, urls: urls, headers: []http.Header{header(false, params.Pass)}, consecutive: 1, wrong: h.wrong}
	return h, nil
}

// Target names the URLs.
func (h *healthy) Target() string { return h.params.URLs.target() }

// Check asks every address of every URL once.
func (h *healthy) Check(ctx context.Context) (action.Verdict, error) {
	r, err := h.look.run(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	return h.look.verdict(r, "every health check passes", "health checks still fail"), nil
}

func (h *healthy) wrong(u *url.URL, a answer) string {
	switch {
	case a.marked && (h.params.NotMark || a.status != h.params.Expect):
		return fmt.Sprintf("the health URL answers with noren's own page (%d, mark %s): the application was not asked", a.status, a.mark)
	case a.status == h.params.Expect:
		return ""
	default:
		return fmt.Sprintf("expected %d, got %s", h.params.Expect, describe(u, a))
	}
}
