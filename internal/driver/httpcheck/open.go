package httpcheck

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
)

// OpenParams are the parameters of http/open.
type OpenParams struct {
	URLs URLs `json:"urls"`
	// Consecutive is how many answers in a row must be without a page of ours, 3 by default.
	Consecutive int `json:"consecutive,omitempty"`
	// Mark is the token of the one page that must be gone; without it, every
	// page of ours must be.
	Mark string `json:"mark,omitempty"`
	// Silent takes an address that does not answer for one without the page:
	// after a closing that failed, that may be why it did.
	Silent bool `json:"silent,omitempty"`
}

// Validate checks the parameters without I/O.
func (p OpenParams) Validate() error {
	if err := validConsecutive(p.Consecutive); err != nil {
		return err
	}
	_, err := p.URLs.parse()
	return err
}

// open is the check http/open. It does not judge the application: an entrance
// is open when our page is gone, and http/healthy tells the rest.
type open struct {
	params OpenParams
	look   look
}

func openOpen(p *prober, params OpenParams) (*open, error) {
	urls, err := params.URLs.parse()
	if err != nil {
		return nil, err
	}
	o := &open{params: params}
	// As a customer, and as a probe: from an address that the staff bypass lets
	// through, only a probe sees a page that is still there.
	both := []http.Header{header(false, ""), header(true, "")}
	o.look = look{prober: p, urls: urls, headers: both, consecutive: consecutive(params.Consecutive), silent: params.Silent, wrong: o.wrong}
	return o, nil
}

// Target names the URLs.
func (o *open) Target() string { return o.params.URLs.target() }

// Check asks every address of every URL.
func (o *open) Check(ctx context.Context) (action.Verdict, error) {
	r, err := o.look.run(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	good, bad := "no address answers with a page of noren's", "not open yet"
	if o.params.Mark != "" {
		good, bad = "no address answers with this closing's page", "the page is still there"
	}
	v := o.look.verdict(r, good, bad)
	if sick := failing(r); v.OK && sick != "" {
		v.Summary += "; the door or the application fails, though: " + sick
	}
	return v, nil
}

func (o *open) wrong(_ *url.URL, a answer) string {
	if !a.marked || o.params.Mark != "" && a.mark != o.params.Mark {
		return ""
	}
	return fmt.Sprintf("still noren's page (%d, mark %s)", a.status, a.mark)
}

// failing lists the URLs that answer with an error of the server's.
func failing(r result) string {
	var list []string
	for _, s := range r.seen {
		if s.last.status >= 500 {
			list = append(list, fmt.Sprintf("%s answers %s", s.door.url, describe(s.door.url, s.last)))
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "; ")
}
