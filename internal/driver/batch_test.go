package driver_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

func TestBatch(t *testing.T) {
	since := time.Now().Add(-time.Minute)
	for _, c := range []struct {
		name string
		ctx  context.Context
		many bool
	}{
		{"none", t.Context(), false},
		{"few", driver.WithBatch(t.Context(), driver.Batch{Since: since, Size: 8}), false},
		{"many", driver.WithBatch(t.Context(), driver.Batch{Since: since, Size: 9}), true},
		{"many, but alone", driver.Alone(driver.WithBatch(t.Context(), driver.Batch{Since: since, Size: 9})), false},
	} {
		b := driver.BatchOf(c.ctx)
		if b.Many() != c.many || b.Since.Equal(since) != c.many || b.Size < 1 {
			t.Errorf("%s: %+v, many %t", c.name, b, b.Many())
		}
		if !c.many && time.Since(b.Since) > time.Second {
			t.Errorf("%s: an answer of %s is taken for new", c.name, b.Since)
		}
	}
}

// TestRetriesLookAlone: whatever was wrong with an answer that many share, the
// next try does not rely on it.
func TestRetriesLookAlone(t *testing.T) {
	t.Parallel()
	var many []bool
	b := &box{call: func(ctx context.Context, _ string, _, _ *boxState) error {
		many = append(many, driver.BatchOf(ctx).Many())
		if len(many) == 1 {
			return errors.Join(action.ErrUnavailable, driver.ErrOutdated)
		}
		return nil
	}}
	s, _, _ := session(b, nil)
	in, err := s.Action(t.Context(), "box/put", json.RawMessage(`{"name":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 100})
	if err := in.Change.Apply(ctx, action.State{}, action.State{}); err != nil {
		t.Fatal(err)
	}
	if len(many) != 2 || !many[0] || many[1] {
		t.Errorf("in a batch: %v, want true, then false", many)
	}
}
