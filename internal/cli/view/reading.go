package view

import (
	"fmt"

	"github.com/charmbracelet/x/ansi"

	"github.com/noren-dev/noren/internal/control"
)

// Reading says what is waited for: on a terminal in a line that is written over,
// and taken away when nothing is; elsewhere in a line that stays.
func (h Human) Reading(r control.Reading) {
	text := ""
	if n := len(r.Waiting); n > 0 {
		text = fmt.Sprintf("reading %s; still waiting for: %s", r.Environment, r.Waiting[0])
		if n > 1 {
			text += fmt.Sprintf(" and %d more", n-1)
		}
	}
	switch {
	case h.Columns > 0:
		fmt.Fprint(h.Err, "\r"+ansi.EraseLineRight+faint(ansi.Truncate(text, h.Columns-1, "…")))
	case text != "":
		fmt.Fprintln(h.Err, text)
	}
}

// Reading prints nothing: programs wait for the result.
func (j JSON) Reading(control.Reading) {}
