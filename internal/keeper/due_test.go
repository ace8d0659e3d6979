package keeper

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	set   = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	until = set.Add(time.Hour)
	usual = Settings{Remind: []time.Duration{15 * time.Minute, 5 * time.Minute}, Overdue: 10 * time.Minute}
)

func TestDue(t *testing.T) {
	t.Parallel()
	none := time.Duration(1) // no moment of any reminder
	for _, c := range []struct {
		name       string
		s          Settings
		set        time.Time
		at         time.Duration // after the end
		due, after time.Duration
	}{
		{"long before", usual, set, -30 * time.Minute, none, -15 * time.Minute},
		{"just before the first", usual, set, -15*time.Minute - 1, none, -15 * time.Minute},
		{"the first", usual, set, -15 * time.Minute, -15 * time.Minute, -5 * time.Minute},
		{"between", usual, set, -6 * time.Minute, -15 * time.Minute, -5 * time.Minute},
		{"a moment before the end", usual, set, -1, -5 * time.Minute, 0},
		{"the end", usual, set, 0, 0, 10 * time.Minute},
		{"a little late", usual, set, 9 * time.Minute, 0, 10 * time.Minute},
		{"late", usual, set, 10 * time.Minute, 10 * time.Minute, 20 * time.Minute},
		{"days late", usual, set, 48*time.Hour + time.Minute, 48 * time.Hour, 48*time.Hour + 10*time.Minute},
		{"given 10 min before", usual, until.Add(-10 * time.Minute), -9 * time.Minute, none, -5 * time.Minute},
		{"given 2 min before", usual, until.Add(-2 * time.Minute), -time.Minute, none, 0},
		{"nothing after the end", Settings{}, set, time.Hour, 0, none},
		{"nothing before the end", Settings{}, set, -time.Hour, none, 0},
	} {
		got := func(o time.Duration, ok bool) time.Duration {
			if !ok {
				return none
			}
			return o
		}
		now := until.Add(c.at)
		if d := got(c.s.due(c.set, until, now)); d != c.due {
			t.Errorf("%s: due %s, want %s", c.name, d, c.due)
		}
		if d := got(c.s.next(c.set, until, now)); d != c.after {
			t.Errorf("%s: next %s, want %s", c.name, d, c.after)
		}
	}
}

// TestClockThatJumps: whichever way the clock jumps, no reminder is told twice,
// a jump forward tells one at most, and a jump back none.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now, newest := set, set
		var told []time.Duration
		for _, step := range rapid.SliceOfN(rapid.Int64Range(-90*60, 90*60), 1, 60).Draw(t, "jumps") {
			now = now.Add(time.Duration(step) * time.Second)
			offset, ok := usual.due(set, until, now)
			if !ok || len(told) > 0 && offset <= told[len(told)-1] { // as the keeper compares
				continue
			}
			if !now.After(newest) {
				t.Fatalf("told %s at %s, a time that had been before", offset, now)
			}
			told = append(told, offset)
			newest = now
		}
	})
}
