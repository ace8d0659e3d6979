package alb

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
)

// keepers are tags of tools that may take noren's rules for drift, with their
// names: those with a colon or slash are written by the tool itself, the others
// are what people commonly write.
var keepers = []struct{ key, value, who string }{
	{"aws:cloudformation:stack-name", "", "CloudFormation"},
	{"elasticbeanstalk:environment-name", "", "Elastic Beanstalk"},
	{"copilot-application", "", "AWS Copilot"},
	{"AmazonECSManaged", "", "Amazon ECS"},
	{"managed-by", "terraform", "Terraform"}, {"managedby", "terraform", "Terraform"}, {"terraform", "", "Terraform"},
	{"managed-by", "pulumi", "Pulumi"}, {"managed-by", "cdk", "the CDK"},
}

// keptBy is the tool that keeps a load balancer as its files say, "" if its tags
// name none.
func keptBy(tags map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		plain := strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(key))
		for _, k := range keepers {
			if strings.EqualFold(k.key, plain) && (k.value == "" || strings.Contains(strings.ToLower(tags[key]), k.value)) && !strings.EqualFold(tags[key], "false") {
				return k.who
			}
		}
	}
	return ""
}

// notes are what the reader of a plan should know of the load balancer.
func (e *entrance) notes(r *reading, s *driver.Survey) []driver.Note {
	var out []driver.Note
	say := func(warn bool, format string, args ...any) {
		out = append(out, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	if who := keptBy(r.lb.tags); who != "" {
		say(true, "The tags of load balancer %s say that %s keeps it: do not let it apply while this is closed, or it takes noren's rules away. Rules that are shifted meanwhile show as a difference in its plan.", r.lb.name, who)
	}
	if len(e.options.Hosts)+len(e.options.Paths) == 0 {
		say(false, "The entrance names neither hosts nor paths: everything on port %s of load balancer %s is closed.", portsOf(r.closed), r.lb.name)
	}
	for _, l := range r.listeners {
		if e.options.Port == 0 && e.place.listener == "" && l.OnlyRedirects() {
			say(false, "The listener on port %d only sends visitors elsewhere and is left alone.", l.Port)
		}
	}
	for _, l := range r.closed {
		for _, p := range l.Rules {
			if p.Own == nil && weighted(p.Actions) {
				say(true, "Rule %d on port %d shares requests out by weight. If ECS or CodeDeploy is in the middle of a blue/green deployment, wait until it is over: it rewrites this rule, and staff would go by the weights of now.", p.Priority, l.Port)
			}
		}
		if weighted(l.Default) {
			say(true, "The default action on port %d shares requests out by weight. If ECS or CodeDeploy is in the middle of a blue/green deployment, wait until it is over.", l.Port)
		}
	}
	if len(s.URLs) == 0 {
		say(true, "No URL to probe is known: name one as urls of the entrance, or its hosts.")
	}
	say(false, "Requests under way finish on the application, and WebSockets that are open outlive the closing.")
	return out
}

func weighted(actions []albrules.Action) bool { return len(albrules.TargetGroups(actions...)) > 1 }

func portsOf(listeners []albrules.Listener) string {
	var out []string
	for _, l := range listeners {
		out = append(out, fmt.Sprint(l.Port))
	}
	return strings.Join(out, ", ")
}

// closingNotes are what the reader should know of this closing of a listener.
func closingNotes(l albrules.Listener, c albrules.Curtain, d albrules.Drawn, scope albrules.Scope) []driver.Note {
	var out []driver.Note
	say := func(warn bool, format string, args ...any) {
		out = append(out, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	if !c.Roomy(l) {
		say(false, "There is no room in front of the rules on port %d: while this is closed they stand %d further back, in the same order, and then at their own priorities again.", l.Port, c.Shift)
	}
	for _, p := range d.Unserved {
		say(true, "%s is no path of this service: keeping it open has no effect.", p)
	}
	if others := shut(l, scope); len(others) > 0 {
		say(true, "Closing port %d also closes what other rules serve there: %s.", l.Port, strings.Join(others, ", "))
	}
	return out
}

// shut are the hosts that a closing of the whole listener closes with it.
func shut(l albrules.Listener, scope albrules.Scope) []string {
	if len(scope.Hosts) > 0 {
		return nil
	}
	named := slices.DeleteFunc(l.Hosts(), func(h string) bool { return h == "" })
	if len(named) < 2 {
		return nil
	}
	return named
}

// bypassNotes are what the reader should know of staff.
func (e *entrance) bypassNotes(c edge.Closing) []driver.Note {
	out := []driver.Note{{Text: "A fixed response of the load balancer carries no headers of our own: no Retry-After is sent."}}
	if n := len(c.Page.Body); n > albrules.MaxBody {
		out = append(out, driver.Note{Warn: true, Text: fmt.Sprintf("The page has %d bytes in %d characters. AWS counts characters, but nobody documents it: %d bytes would be safe.", n, len([]rune(c.Page.Body)), albrules.MaxBody)})
	}
	if len(c.Bypass.Sources) == 0 {
		return out
	}
	for _, s := range c.Bypass.Inside() {
		out = append(out, driver.Note{Warn: true, Text: fmt.Sprintf("%s passes as staff, and the load balancer goes by the address of the connection: if a CDN, a proxy or another load balancer in that network stands in front of it, EVERYONE passes. Let staff in by pass there.", s)})
	}
	return append(out, driver.Note{Text: "Staff are known by the address from which the load balancer sees them come: behind a CDN or proxy that is the CDN's, and a pass is needed."})
}
