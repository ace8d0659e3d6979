package gate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// hidden stands for a secret.
const hidden = "•••"

// Describe implements driver.TypedDescriber: what customers will see.
func (d *closeChange) Describe(from, to *DoorState) action.Description {
	out := action.Description{Before: d.text(from), After: d.text(to)}
	switch {
	case to == nil || to.Closing == nil:
		out.Line = fmt.Sprintf("Open door %s: customers reach the application", d.params.Door)
	case from != nil && from.Closing != nil:
		p := to.Closing.Page
		out.Line = fmt.Sprintf("Renew the page of door %s, which stays closed (%s, %d bytes)", d.params.Door, p.ContentType, len(p.Body))
	default:
		p := to.Closing.Page
		out.Line = fmt.Sprintf("Close door %s: %s with %d (%s, %d bytes)", d.params.Door, shut(*to.Closing), p.Status, p.ContentType, len(p.Body))
	}
	return out
}

// shut says which requests are answered with the page.
func shut(c edge.Closing) string {
	switch c.Mode {
	case edge.ReadOnly:
		return "requests that write are answered"
	case edge.Paths:
		return "requests to " + strings.Join(c.Paths, ", ") + " are answered"
	default:
		return "customers are answered"
	}
}

// text is a state as YAML, for a diff.
func (d *closeChange) text(s *DoorState) string {
	var b strings.Builder
	line := func(depth int, key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat("  ", depth), key, value)
		}
	}
	line(0, "door", d.params.Door)
	if s == nil || s.Closing == nil {
		line(0, "customers", "reach the application")
		return b.String()
	}
	c := *s.Closing
	line(0, "mode", string(c.Mode))
	line(0, "hosts", cmp.Or(list(c.Hosts), "all of the door"))
	line(0, "closed paths", list(c.Paths))
	line(0, "kept open", list(c.KeepOpen))
	if !c.Bypass.IsZero() {
		b.WriteString("staff pass:\n")
		var nets []string
		for _, p := range c.Bypass.Sources {
			nets = append(nets, p.String())
		}
		line(1, "from", list(nets))
		if c.Bypass.Pass != "" {
			line(1, "with", edge.PassHeader+": "+hidden+" or the cookie "+edge.PassCookie)
		}
	}
	b.WriteString("page:\n")
	line(1, "status", fmt.Sprint(c.Page.Status))
	line(1, "type", c.Page.ContentType)
	for _, k := range slices.Sorted(maps.Keys(c.Page.Header)) {
		line(1, k, c.Page.Header[k])
	}
	line(1, "mark", c.Mark)
	line(1, "body", fmt.Sprintf("%d bytes", len(c.Page.Body)))
	for l := range strings.Lines(c.Page.Body) {
		b.WriteString("    " + strings.TrimRight(l, "\r\n") + "\n")
	}
	return b.String()
}

func list(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// inWords is a state within a sentence.
func inWords(s *DoorState) string {
	switch {
	case s == nil:
		return "missing"
	case s.Closing == nil:
		return "open"
	default:
		return fmt.Sprintf("closed (mode %s, mark %s)", s.Closing.Mode, s.Closing.Mark)
	}
}

func byWhom(d gateapi.Door) string {
	if d.Closed == nil || d.Closed.Mark == nil || d.Closed.Mark.Receipt.Run == "" {
		return ""
	}
	m := d.Closed.Mark
	return fmt.Sprintf(" by run %s%s", m.Receipt.Run, of(m.Actor))
}

func of(actor string) string {
	if actor == "" {
		return ""
	}
	return " of " + actor
}
