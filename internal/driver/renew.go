package driver

import (
	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
)

// A Renewer is a change of which a state can show the closed page. It makes
// the same state with another page, so that a closing that is extended can show
// its new end: the change's Apply, given the two, replaces the page in place.
// A change without it is left as it is when its closing is extended.
type Renewer interface {
	// Renew returns the state with the page in every place where a page that
	// bears one of the marks stands, and nothing else changed. A state without
	// such a page comes back as it is. It does no I/O.
	Renew(s action.State, page edge.Response, marks []string) (action.State, error)
}

// TypedRenewer is [Renewer] with the state as a Go type. It may not write to s.
type TypedRenewer[F any] interface {
	Renew(s *F, page edge.Response, marks []string) (*F, error)
}

type untypedRenewer[F any] struct{ r TypedRenewer[F] }

func (u untypedRenewer[F]) Renew(s action.State, page edge.Response, marks []string) (action.State, error) {
	f, err := decode[F](s)
	if err != nil || f == nil {
		return s, err
	}
	to, err := u.r.Renew(f, page, marks)
	if err != nil {
		return s, err
	}
	return encode(to)
}
