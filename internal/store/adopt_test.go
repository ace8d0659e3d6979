package store_test

import (
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

func adoption(id string, locks ...string) store.Adoption {
	return store.Adoption{ID: id, Plan: &plan.Plan{Kind: plan.Close, Locks: locks}, Actor: "ann@there", Created: time.Unix(1e9, 0).UTC(), By: "bob@here",
		Receipts: []action.Receipt{{Run: id, Step: "close-1", Target: locks[0]}}}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if err := s.Adopt(t.Context(), adoption("c1", "web", "app")); err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != run.Done || r.Actor != "ann@there" || !r.Created.Equal(time.Unix(1e9, 0)) || r.Adopted.By != "bob@here" || r.Adopted.At.IsZero() {
		t.Errorf("adopted run: %+v", r)
	}
	if receipts, err := s.Receipts(t.Context(), "c1"); err != nil || len(receipts) != 1 {
		t.Errorf("receipts: %+v, %v", receipts, err)
	}
	if locks, err := s.Locks(t.Context()); err != nil || len(locks) != 2 || locks[0].Run != "c1" || locks[0].Actor != "ann@there" {
		t.Errorf("locks: %+v, %v", locks, err)
	}
	if ids, err := s.Unfinished(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("unfinished: %v, %v", ids, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Errorf("the chain of events: %v", err)
	}
	// It can be opened like any other.
	if _, err := s.Create(t.Context(), "o1", &plan.Plan{Kind: plan.Open, Closing: "c1", Holder: "c1", Locks: []string{"web", "app"}}, "bob@here"); err != nil {
		t.Error(err)
	}
}

// TestAdoptIsAllOrNothing meets an entrance that another run holds, and a run
// that is known.
func TestAdoptIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "mine", "api")
	wantFault(t, s.Adopt(t.Context(), adoption("c1", "web", "api")), fault.Locked, "mine", "api")
	if _, err := s.Run(t.Context(), "c1"); err == nil {
		t.Error("the run was recorded though its lock was not free")
	}
	if locks, err := s.Locks(t.Context()); err != nil || len(locks) != 1 {
		t.Errorf("locks: %+v, %v", locks, err)
	}
	if err := s.Adopt(t.Context(), adoption("c1", "web")); err != nil {
		t.Fatal(err)
	}
	wantFault(t, s.Adopt(t.Context(), adoption("c1", "other")), fault.Locked, "c1")
}
