package catalog

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Keep is how a keeper reminds people.
type Keep struct {
	// Remind are the moments before the end of a closing, longest first. At the
	// end it reminds always.
	Remind []time.Duration
	// Overdue is how long after the end, and after each reminder since, it
	// reminds again.
	Overdue time.Duration
	// Command is told of each reminder: a program and its arguments. Empty:
	// none is.
	Command []string
	// Timeout is how long the command may take.
	Timeout time.Duration
}

// DefaultKeep is how a keeper reminds that was told nothing else.
func DefaultKeep() Keep {
	return Keep{Remind: []time.Duration{15 * time.Minute, 5 * time.Minute}, Overdue: 10 * time.Minute, Timeout: 10 * time.Second}
}

// Bounds of what a keeper can be told.
const (
	shortestOverdue = time.Minute
	longestTimeout  = time.Minute
)

func (r *reader) keep(n *node) Keep {
	k := DefaultKeep()
	r.object(n, "keep", nil,
		field{"remind", func(n *node) {
			k.Remind = nil
			r.texts(n, "remind", "a time before the end", func(at spot, s string) bool {
				d, ok := r.duration(at, s, "a time before the end", time.Second, LongestWindow)
				if ok && !slices.Contains(k.Remind, d) {
					k.Remind = append(k.Remind, d)
				}
				return ok
			})
			slices.Sort(k.Remind)
			slices.Reverse(k.Remind)
		}},
		field{"overdue", func(n *node) {
			if s, ok := r.text(n, "overdue"); ok {
				k.Overdue, _ = r.duration(n.spot, s, "overdue", shortestOverdue, LongestWindow)
			}
		}},
		field{"command", func(n *node) {
			k.Command = r.texts(n, "command", "a word of the command", func(spot, string) bool { return true })
			if len(k.Command) == 0 {
				if n.shape == list && len(n.items) == 0 {
					r.add(n.spot, "value is empty", "The command has no program. Leave the key out if there is none.")
				}
				return
			}
			// A path is meant from where the file stands; a bare name is looked up.
			if p := k.Command[0]; strings.Contains(p, "/") && !filepath.IsAbs(p) {
				k.Command[0] = filepath.Join(filepath.Dir(r.source.file), p)
			}
		}},
		field{"timeout", func(n *node) {
			if s, ok := r.text(n, "timeout"); ok {
				k.Timeout, _ = r.duration(n.spot, s, "timeout", time.Second, longestTimeout)
			}
		}})
	return k
}

// duration reads a length of time within bounds.
func (r *reader) duration(at spot, s, what string, least, most time.Duration) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		var try []string
		if _, err := time.ParseDuration(s + "m"); err == nil {
			try = []string{s + "m"}
		}
		r.add(at, "malformed duration", fmt.Sprintf("%s is %q, which is not a length of time such as 15m, 90s or 1h30m.", capital(what), s), try...)
	case d < least || d > most:
		r.add(at, "duration out of bounds", fmt.Sprintf("%s is %s; it can be from %s to %s.", capital(what), s, Duration(least), Duration(most)))
	default:
		return d, true
	}
	return least, false
}
