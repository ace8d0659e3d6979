package driver

import (
	"encoding/json"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
)

// A Renewer is a change of which a state can show the closed page. It makes
// the same state with another page, so that a closing that is extended can show
// its new end: the change's Apply, given the two, replaces the page in place.
// A change without it is left as it is when its closing is extended. It does no
// I/O.
type Renewer interface {
	// Shows tells whether the state shows a page that bears one of the marks,
	// and what a page in its place may be.
	Shows(s action.State, marks []string) (Room, bool, error)
	// Renew returns the state with the page in every place where a page that
	// bears one of the marks stands, and nothing else changed. A state without
	// such a page comes back as it is.
	Renew(s action.State, page edge.Response, marks []string) (action.State, error)
	// Params are the parameters of a change that can write the renewed state and
	// go back to s. They are nil where the change's own do.
	Params(s action.State, page edge.Response) (json.RawMessage, error)
}

// A Room is what a page may be in its place.
type Room struct {
	Limit   int  // bytes of its body, 0: no limit
	Headers bool // whether one with a limit is sent with its headers
}

// TypedRenewer is [Renewer] with the state as a Go type. It may not write to s.
type TypedRenewer[F any] interface {
	Shows(s *F, marks []string) (Room, bool)
	Renew(s *F, page edge.Response, marks []string) (*F, error)
}

// TypedReparameter is a TypedRenewer whose states do not hold the page itself:
// its parameters do, and Params returns a pointer to those for another one.
type TypedReparameter[F any] interface {
	Params(s *F, page edge.Response) (any, error)
}

type untypedRenewer[F any] struct{ r TypedRenewer[F] }

func (u untypedRenewer[F]) Shows(s action.State, marks []string) (Room, bool, error) {
	f, err := decode[F](s)
	if err != nil || f == nil {
		return Room{}, false, err
	}
	room, ok := u.r.Shows(f, marks)
	return room, ok, nil
}

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

func (u untypedRenewer[F]) Params(s action.State, page edge.Response) (json.RawMessage, error) {
	r, ok := u.r.(TypedReparameter[F])
	if !ok {
		return nil, nil
	}
	f, err := decode[F](s)
	if err != nil || f == nil {
		return nil, err
	}
	params, err := r.Params(f, page)
	if err != nil {
		return nil, err
	}
	return json.Marshal(params)
}
