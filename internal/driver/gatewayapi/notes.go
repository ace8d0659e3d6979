package gatewayapi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// notes are what the reader of a plan should know of the entrance.
func (e *routeEntrance) notes(r *reading, s *driver.Survey, problems []string) []driver.Note {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	for _, p := range problems {
		say(false, "HTTPRoute %s: %s.", e.key(), p)
	}
	_, bad := badAlready(r.route.object)
	for _, b := range bad {
		say(true, "HTTPRoute %s is not well already: %s.", e.key(), b)
	}
	if guess := gitops.Guess("HTTPRoute "+e.key(), s.Owner); guess != "" {
		say(false, "%s", guess)
	}
	wild := slices.DeleteFunc(slices.Clone(s.Hosts), func(h string) bool { return !strings.Contains(h, "*") })
	if len(wild) > 0 {
		say(true, "%s cannot be probed: give the service a health-check URL under it.", strings.Join(wild, ", "))
	}
	if _, ok := r.firstPath(); !ok {
		say(true, "No rule of httproute %s serves a plain GET of a known path, so that noren has nothing to probe: give the service a health-check URL.", e.key())
	}
	say(false, "HTTPRoute %s covers the requests that its rules take now. A rule that someone adds while it is closed is open.", e.key())
	say(false, "WebSockets and other long streams that are open when httproute %s closes stay open: a route is looked at when a request begins.", e.key())
	return notes
}
