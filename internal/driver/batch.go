package driver

import (
	"context"
	"errors"
	"time"
)

// A Batch tells a driver that a look at one target is one of many that are made
// side by side, so that one list may answer them all. A list is as good as a
// look of its own if it was begun at or after Since.
//
// Only looks are batched. A write is always a request of its own, guarded by the
// outside system itself, and a write that was prepared from a list and refused
// is prepared anew from a look of its own.
type Batch struct {
	// Since is the moment from which on an answer is new enough, by this
	// process's clock.
	Since time.Time
	// Size is about how many looks there are.
	Size int
}

// few is up to how many looks are made one by one, whatever else could be read.
const few = 8

// Many tells whether there are enough looks for a list to pay.
func (b Batch) Many() bool { return b.Size > few }

type batchKey struct{}

// WithBatch says that the looks made under the context are a batch.
func WithBatch(ctx context.Context, b Batch) context.Context {
	return context.WithValue(ctx, batchKey{}, b)
}

// Alone says that a look is made for itself and has to be new.
func Alone(ctx context.Context) context.Context {
	if !BatchOf(ctx).Many() {
		return ctx
	}
	return WithBatch(ctx, Batch{})
}

// BatchOf returns the batch that a look belongs to. Where there is none, it is
// alone and has to be new.
func BatchOf(ctx context.Context) Batch {
	if b, ok := ctx.Value(batchKey{}).(Batch); ok && b.Many() {
		return b
	}
	return Batch{Since: time.Now(), Size: 1}
}

// ErrOutdated says, wrapped together with action.ErrUnavailable, that a write was
// refused since the answer from which it was prepared is out of date. It is
// prepared anew at once, without a pause.
var ErrOutdated = errors.New("prepared from an answer that is out of date")
