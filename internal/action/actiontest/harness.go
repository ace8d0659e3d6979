// Package actiontest is the contract suite that every change of every driver
// passes over the real protocol. [Exercise] runs it; the suite itself is tested
// on deliberately wrong drivers, each of which must fail.
//
// A driver built with the typed layer gives the suite its change without the
// retries of a session around it: driver.Bare(change).Change.
package actiontest

import (
	"testing"

	"github.com/noren-dev/noren/internal/action"
)

// A Harness tells the suite how to get at one kind of change. Every function
// is required: a driver without them does not merge.
type Harness struct {
	// New prepares a fresh target in its untouched state, on a server that
	// speaks the real protocol, and opens the change on it. It is called at
	// least once for each obligation of the suite, never twice at a time.
	New func(t testing.TB) Target
}

// A Target is one prepared target and a colleague's hands on it.
type Target struct {
	// Name is how a person knows the target, for example "ingress shop/web".
	// The error of a refused Apply must contain it.
	Name string
	// Change is the change under test, without retries around it.
	Change action.Change
	// Marked returns the change leaving a mark, nil if the driver is no Marker.
	Marked func(m action.Mark) action.Change
	// Mark reads the mark on the target now, nil if there is none. It is set
	// exactly when Marked is.
	Mark func(t testing.TB) *action.Mark
	// Meddle changes a field that State holds, as another operator would, to a
	// value that is in neither the untouched nor the proposed state. It is
	// called on an untouched target and on a changed one.
	Meddle func(t testing.TB)
	// MeddleBeside changes something on the target that State does not hold.
	// It is nil only where State holds the whole target.
	MeddleBeside func(t testing.TB)
	// Beside reads what MeddleBeside changes.
	Beside func(t testing.TB) string
	// LoseNextAnswer lets the next write reach the server and fail to answer.
	LoseNextAnswer func(t testing.TB)
	// Writes counts the writes that the server has carried out, meddling
	// included.
	Writes func(t testing.TB) int
}

// check fails if the harness lacks something, before the driver is blamed.
func (tg Target) check(t testing.TB) {
	t.Helper()
	for what, missing := range map[string]bool{
		"Name": tg.Name == "", "Change": tg.Change == nil, "Meddle": tg.Meddle == nil,
		"LoseNextAnswer": tg.LoseNextAnswer == nil, "Writes": tg.Writes == nil,
		"Beside": tg.MeddleBeside != nil && tg.Beside == nil,
		"Mark":   tg.Marked != nil && tg.Mark == nil,
		"Marked": tg.Mark != nil && tg.Marked == nil,
	} {
		if missing {
			t.Fatalf("harness: Target.%s is not set", what)
		}
	}
}
