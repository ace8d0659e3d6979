package view

import (
	"cmp"
	"fmt"

	"github.com/noren-dev/noren/internal/control"
)

// Ring says in a line what rings, and who does what about it.
func Ring(r control.Ringing) string {
	since := ""
	if !r.Since.IsZero() {
		since = " since " + r.Since.Local().Format("15:04 MST")
	}
	return fmt.Sprintf("rings in %s: %s%s (%s %s of %s): %s", r.Environment, oneLine(r.What), since, r.Kind, r.Monitor, r.Service,
		oneLine(cmp.Or(r.OnRing, "nobody has said who does what")))
}

// Rings shows what rings though it is not muted.
func (h Human) Rings(rings []control.Ringing) {
	for _, r := range rings {
		h.print("%s\n", red(Ring(r)))
	}
}

// Rings prints {"type":"ringing","ringing":[…]}.
func (j JSON) Rings(rings []control.Ringing) {
	if len(rings) > 0 {
		j.put(j.Out, "ringing", map[string]any{"ringing": rings})
	}
}
