package driver

import "github.com/noren-dev/noren/internal/action"

// A Midway is a change of several writes, so that a target may be found between
// two states: with what a run left that was cut off. Its Apply goes on from
// there to either. A change without it has no such states. It does no I/O.
type Midway interface {
	// Between tells whether now is on the way from one of the states to the other,
	// and nothing of noren's in it is otherwise than in one of them.
	Between(now, a, b action.State) (bool, error)
}

// TypedMidway is [Midway] with the states as a Go type.
type TypedMidway[F any] interface {
	Between(now, a, b *F) bool
}

type untypedMidway[F any] struct{ m TypedMidway[F] }

func (u untypedMidway[F]) Between(now, a, b action.State) (bool, error) {
	var states [3]*F
	for i, s := range []action.State{now, a, b} {
		f, err := decode[F](s)
		if err != nil {
			return false, err
		}
		states[i] = f
	}
	return u.m.Between(states[0], states[1], states[2]), nil
}
