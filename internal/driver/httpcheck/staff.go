package httpcheck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/noren-dev/noren/internal/action"
)

// StaffParams are the parameters of http/staff.
type StaffParams struct {
	URLs URLs `json:"urls"`
	// Pass goes behind the curtain as staff do, in edge.PassHeader.
	Pass string `json:"pass"`
}

// Validate checks the parameters without I/O.
func (p StaffParams) Validate() error {
	if p.Pass == "" {
		return errors.New("pass: without one, the request is a customer's")
	}
	_, err := p.URLs.parse()
	return err
}

// staff is the check http/staff. It does not judge the application: staff are in
// when something behind the curtain answers them, a login of the application's
// included.
type staff struct {
	params StaffParams
	look   look
}

func openStaff(p *prober, params StaffParams) (*staff, error) {
	urls, err := params.URLs.parse()
	if err != nil {
		return nil, err
	}
	s := &staff{params: params}
	s.look = look{prober: p, urls: urls, headers: []http.Header{header(false, params.Pass)}, consecutive: 1, wrong: s.wrong}
	return s, nil
}

// Target names the URLs.
func (s *staff) Target() string { return s.params.URLs.target() }

// Check asks every address of every URL once.
func (s *staff) Check(ctx context.Context) (action.Verdict, error) {
	r, err := s.look.run(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	return s.look.verdict(r, "staff get in with the pass", "staff do not get in with the pass yet"), nil
}

func (s *staff) wrong(u *url.URL, a answer) string {
	switch {
	case a.marked:
		return fmt.Sprintf("noren's page also with the pass (%d, mark %s)", a.status, a.mark)
	case a.status >= http.StatusInternalServerError:
		return describe(u, a)
	default:
		return ""
	}
}
