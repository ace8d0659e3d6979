package keeper

import (
	"slices"
	"time"
)

// Settings are when to remind.
type Settings struct {
	// Remind are the moments before the end.
	Remind []time.Duration
	// Overdue is the time between reminders after the end; zero: none.
	Overdue time.Duration
}

// due returns the moment of the latest reminder that is due at now, as its
// offset from the end. Those before it that were missed, by a machine that
// slept or a clock that was put forward, are made up for by the one. set is when
// this end was given: a moment before that is no moment of this end.
func (s Settings) due(set, until, now time.Time) (offset time.Duration, ok bool) {
	past := now.Sub(until)
	for _, o := range s.offsets(past) {
		if o <= past && until.Add(o).After(set) && (!ok || o > offset) {
			offset, ok = o, true
		}
	}
	return offset, ok
}

// next returns the offset of the first reminder after now.
func (s Settings) next(set, until, now time.Time) (offset time.Duration, ok bool) {
	past := now.Sub(until)
	for _, o := range s.offsets(past) {
		if o > past && until.Add(o).After(set) && (!ok || o < offset) {
			offset, ok = o, true
		}
	}
	return offset, ok
}

// offsets are the moments of reminders that matter so long after the end: those
// before it, the end itself, and the late ones around now.
func (s Settings) offsets(past time.Duration) []time.Duration {
	all := []time.Duration{0}
	for _, before := range s.Remind {
		all = append(all, -before)
	}
	if s.Overdue > 0 {
		n := max(0, past/s.Overdue)
		all = append(all, n*s.Overdue, (n+1)*s.Overdue)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
