package gate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// TestContract runs gate/door.close against a real gate.
func TestContract(t *testing.T) {
	actiontest.Exercise(t, harness())
}

// A door that another run closed is not closed over.
func TestClosedByAnotherRun(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	turn(t, s.client(t), "web", &gateapi.Closed{Closing: closingOf("earlier")})
	change := &closeChange{client: s.client(t), params: CloseParams{Door: "web", Closing: closingOf("ours")}}
	from, err := change.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := change.Propose(from); !errors.Is(err, &fault.Fault{Code: fault.Locked}) || !strings.Contains(err.Error(), "earlier") {
		t.Errorf("Propose over another run's page: %v", err)
	}
}

// TestRenewedContract runs a closed door that gets another page against it.
func TestRenewedContract(t *testing.T) {
	h := harness()
	fresh := h.New
	h.New = func(t testing.TB) actiontest.Target {
		target := fresh(t)
		from, err := target.Change.Observe(t.Context())
		if err == nil {
			var to action.State
			if to, err = target.Change.Propose(from); err == nil {
				err = target.Change.Apply(t.Context(), from, to)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		target.Change = renewal{target.Change, closedDoor(t, target.Change)}
		bare := target.Marked
		target.Marked = func(m action.Mark) action.Change { return renewal{bare(m), target.Change.(renewal).to} }
		return target
	}
	actiontest.Exercise(t, h)
}

// A renewal proposes another page on a door that is closed.
type renewal struct {
	action.Change
	to action.State
}

func (r renewal) Propose(action.State) (action.State, error) { return r.to, nil }

// closedDoor is the state of a closed door with another page.
func closedDoor(t testing.TB, c action.Change) action.State {
	t.Helper()
	now, err := c.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := driver.Bare[DoorState](&closeChange{client: &client{}, params: CloseParams{Door: "web", Closing: closingOf("ours")}})
	page := closingOf("later").Page
	to, err := in.Renewer.Renew(now, page, []string{closingOf("ours").Page.Mark})
	if err != nil || to.Equal(now) {
		t.Fatalf("renewed to %s: %v", to.Fields, err)
	}
	return to
}

func harness() actiontest.Harness {
	return actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		s := startServer(t)
		c, colleague := s.client(t), s.client(t)
		change := &closeChange{client: c, params: CloseParams{Door: "web", Closing: closingOf("ours")}}
		in := driver.Bare[DoorState](change)
		beside := 0
		return actiontest.Target{
			Name:   "door web",
			Change: in.Change,
			Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark {
				d := mustDoor(t, colleague, "web")
				if d.Closed == nil {
					return nil
				}
				return d.Closed.Mark
			},
			Meddle: func(t testing.TB) {
				turn(t, colleague, "web", &gateapi.Closed{Closing: closingOf("theirs")})
			},
			// A door's state is all there is to it; beside it are other doors.
			MeddleBeside: func(t testing.TB) {
				beside++
				turn(t, colleague, "api", &gateapi.Closed{Closing: closingOf(fmt.Sprintf("api-%d", beside))})
			},
			Beside: func(t testing.TB) string {
				if d := mustDoor(t, colleague, "api"); d.Closed != nil {
					return d.Closed.Closing.Mark
				}
				return "open"
			},
			LoseNextAnswer: func(testing.TB) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.loseNext = true
			},
			Writes: func(testing.TB) int {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.writes
			},
		}
	}}
}
