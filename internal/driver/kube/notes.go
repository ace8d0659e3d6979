package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// notes are what the reader of a plan should know of the entrance.
func (e *entrance) notes(ctx context.Context, r *reading, s *driver.Survey, problems []lbc.Problem) ([]driver.Note, error) {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	failing, err := e.conn.troubles(ctx, r)
	var f *fault.Fault
	switch {
	case errors.As(err, &f) && f.Code == fault.Denied:
		say(true, "noren may not read the controller's events: %s", f.Detail)
	case err != nil:
		return nil, err
	}
	for _, t := range failing {
		say(true, "The load balancer of ingress %s takes no changes until this is mended: %s", e.key(), t)
	}
	for _, p := range problems {
		if !p.Freezes() {
			say(false, "%s", p)
		}
	}
	if others := otherNamespaces(r); len(others) > 0 {
		say(false, "Ingress %s shares its load balancer (%s) with Ingresses of namespace %s.", e.key(), r.group, strings.Join(others, ", "))
	}
	if loginAsked(s.Front, e.key()) {
		say(false, "Ingress %s asks for a login.", e.key())
	}
	if guess := gitops.Guess("Ingress "+e.key(), r.owner); guess != "" {
		say(false, "%s", guess)
	}
	if skipped := wildcards(s.Hosts); len(skipped) > 0 {
		say(true, "%s cannot be probed: give the service a health-check URL under it.", strings.Join(skipped, ", "))
	}
	say(false, "WebSockets and other long streams that are open when ingress %s closes stay open: the load balancer looks at its rules only when a request begins.", e.key())
	return notes, nil
}

func otherNamespaces(r *reading) []string {
	var out []string
	for _, m := range r.members {
		if m.Namespace != r.ing.Namespace && !slices.Contains(out, m.Namespace) {
			out = append(out, m.Namespace)
		}
	}
	return out
}

// loginAsked tells whether any rule of the Ingress asks for a login.
func loginAsked(front edge.Front, key string) bool {
	for _, l := range front.Listeners {
		for _, rule := range l.Rules {
			if rule.Action.Login && strings.Contains(rule.Name, "ingress "+key+" ") {
				return true
			}
		}
	}
	return false
}

func wildcards(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !strings.ContainsAny(h, "*?") })
}
