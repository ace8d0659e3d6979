package httpcheck

import (
	"context"
	"net/http"
	"net/url"

	"github.com/noren-dev/noren/internal/action"
)

// ReachableParams are the parameters of http/reachable.
type ReachableParams struct {
	URLs URLs `json:"urls"`
}

// Validate checks the parameters without I/O.
func (p ReachableParams) Validate() error {
	_, err := p.URLs.parse()
	return err
}

// reachable is the check http/reachable. It does not judge what is answered, nor
// that nothing is: an application that hangs may be why the service is closed,
// and its door answers for it then.
type reachable struct {
	params ReachableParams
	look   look
}

func openReachable(p *prober, params ReachableParams) (*reachable, error) {
	urls, err := params.URLs.parse()
	if err != nil {
		return nil, err
	}
	answered := func(*url.URL, answer) string { return "" }
	return &reachable{params: params, look: look{prober: p, urls: urls, headers: []http.Header{header(true, "")},
		consecutive: 1, mayHang: true, wrong: answered}}, nil
}

// Target names the URLs.
func (r *reachable) Target() string { return r.params.URLs.target() }

// Check connects to every address of every URL once.
func (r *reachable) Check(ctx context.Context) (action.Verdict, error) {
	found, err := r.look.run(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	return r.look.verdict(found, "every address can be asked from here", "cannot be asked from here, so that nobody would see whether it is closed"), nil
}
