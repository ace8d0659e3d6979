package gate

import (
	"fmt"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// TestContract runs gate/door.close against a real gate: a door that is open,
// and one that an earlier closing has closed already.
func TestContract(t *testing.T) {
	t.Run("open door", func(t *testing.T) {
		actiontest.Exercise(t, harness(nil))
	})
	t.Run("closed door", func(t *testing.T) {
		earlier := &gateapi.Closed{Closing: closingOf("earlier")}
		actiontest.Exercise(t, harness(earlier))
	})
}

func harness(was *gateapi.Closed) actiontest.Harness {
	return actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		s := startServer(t)
		c, colleague := s.client(t), s.client(t)
		if was != nil {
			turn(t, colleague, "web", was)
		}
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
