package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// mostOwners bounds the owners of owners that are looked for. Real chains have
// two or three.
const mostOwners = 16

// A chain is the owner of an entrance, the owner of that owner, and so on.
type chain struct {
	// owners are all that were looked at, links those that were read, from the
	// entrance up.
	owners []driver.Owner
	links  []link
	notes  []driver.Note
}

// keptIn is an owner, and the cluster of the entrance that it keeps.
type keptIn struct {
	cluster string
	owner   driver.Owner
}

// A link is one owner of a chain and what keeps it from taking an edit back.
type link struct {
	owner driver.Owner
	hold  *driver.Hold
}

// chain finds who would take back an edit of an entrance, who would take back
// the pause of that owner, and so on up to one whom nobody corrects. With an
// error it returns the chain so far.
func (x *planner) chain(ctx context.Context, cluster string, o driver.Owner) (chain, error) {
	key := keptIn{cluster, o}
	if c, ok := x.chains[key]; ok {
		return c, nil
	}
	c, err := x.walk(ctx, x.session.At(cluster), o)
	if err == nil {
		if x.chains == nil {
			x.chains = map[keptIn]chain{}
		}
		x.chains[key] = c
	}
	return c, err
}

func (x *planner) walk(ctx context.Context, at *driver.Session, o driver.Owner) (chain, error) {
	var c chain
	for next := (&driver.Kept{Owner: o}); next != nil; {
		c.owners = append(c.owners, next.Owner)
		if len(c.owners) > mostOwners {
			return c, &fault.Fault{Code: fault.Invalid, Summary: "too many owners of owners",
				Detail: fmt.Sprintf("%s: more than %d owners keep one another, the last that was read is %s. Nothing was touched.", ownerName(o), mostOwners, ownerName(next.Owner))}
		}
		answered := x.asks(x.env.Name, ownerName(next.Owner))
		h, err := at.Hold(ctx, next.Owner, next.Edit)
		answered()
		if err != nil {
			return c, x.unheldOwner(&c, next, err)
		}
		if slices.ContainsFunc(c.links, func(l link) bool { return l.hold.Target == h.Target }) {
			c.say(true, "Owners go in a circle: %s. Each of them is paused, and any may take back another's pause in between.", c.path(h.Target))
			return c, nil
		}
		c.links = append(c.links, link{next.Owner, h})
		c.notes = append(c.notes, h.Notes...)
		next = h.Next
	}
	return c, nil
}

// unheldOwner says what it means that an owner could not be read. That of the
// entrance must be; of one further up, a plan's reader is told.
func (x *planner) unheldOwner(c *chain, k *driver.Kept, err error) error {
	missing, denied := errors.Is(err, &fault.Fault{Code: fault.NotFound}), errors.Is(err, &fault.Fault{Code: fault.Denied})
	switch {
	case k.Edit.OfEntrance() && missing && k.Owner.Guessed:
		c.say(false, "A label names %s %s as the owner, and there is none: nothing is paused.", k.Owner.System, k.Owner.Name)
	case k.Edit.OfEntrance(), !missing && !denied:
		return unread(ownerName(k.Owner), x.env.Name, err)
	case k.Owner.Guessed: // a label of Helm's or of a person's
		c.owners = c.owners[:len(c.owners)-1]
	case missing:
		c.say(true, "%s would take back the pause of %s if it came back: it does not exist now.", ownerName(k.Owner), c.last())
	default:
		c.say(true, "%s may take back the pause of %s, and may not be read: %v", ownerName(k.Owner), c.last(), err)
	}
	return nil
}

func (c *chain) say(warn bool, format string, args ...any) {
	c.notes = append(c.notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
}

func (c *chain) last() string { return c.links[len(c.links)-1].hold.Name }

func (c *chain) path(back string) string {
	var names []string
	for _, l := range c.links {
		names = append(names, l.hold.Target)
	}
	return strings.Join(append(names, back), ", kept by ")
}

// paused are the links that must be paused, the topmost first.
func (c *chain) paused() []link {
	links := slices.DeleteFunc(slices.Clone(c.links), func(l link) bool { return len(l.hold.Pauses) == 0 })
	slices.Reverse(links)
	return links
}

// pauses ask for the owner of an entrance or a workload to be paused, and whoever
// would take that back before it. It returns the owner's target. The pauses of
// one chain, and of chains that meet, are one track: they are done from the
// topmost down, and taken back from the entrance up.
func (b *builder) pauses(ctx context.Context, s catalog.Service, cluster, target string, o driver.Owner) (string, []request, error) {
	c, err := b.chain(ctx, cluster, o)
	if err != nil {
		return "", nil, err
	}
	for _, n := range c.notes {
		b.plan.AddNote(n, target)
	}
	links := c.paused()
	if len(links) > 1 {
		var names []string
		for _, l := range links {
			names = append(names, systemName(l.owner.System)+" "+l.hold.Name)
		}
		b.plan.AddNote(driver.Note{Text: "Paused in this order, since each would take back the pause of the next: " + strings.Join(names, ", ") + ". On opening they go on in reverse."}, target)
	}
	var requests []request
	for _, l := range links {
		for _, call := range l.hold.Checks {
			requests = append(requests, request{plan.StageCheck, call, s.Name, "", "", idlePatience})
		}
		for _, call := range l.hold.Pauses {
			requests = append(requests, request{plan.StagePause, call, s.Name, links[0].hold.Target, "", applyPatience})
		}
	}
	if len(c.links) == 0 {
		return "", requests, nil
	}
	return c.links[0].hold.Target, requests, nil
}

// ownerName names an owner as a person would.
func ownerName(o driver.Owner) string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + o.Name
	}
	switch kind := o.Kind; {
	case o.System == "argocd" && kind == "":
		return "Argo CD Application " + name
	default:
		return strings.TrimSpace(systemName(o.System)+" "+kind) + " " + name
	}
}

// afterResume makes an owner look again once it has been let go of. That of an
// entrance is waited for until its state in Git is back: that is not certain by
// itself. Of an owner of owners, nothing but a look is asked for.
func (o *opener) afterResume(s plan.Step, ofEntrance bool) ([]plan.Step, error) {
	pause, _ := o.Registry.Pause(s.Action)
	calls, patience := pause.Settle, healthPatience
	if !ofEntrance {
		calls, patience = pause.Look, readyPatience
	}
	var steps []plan.Step
	for i, c := range calls {
		step, err := o.stepAt(s.Cluster, plan.StageSettle, i+1, s.ID, c.Title+" "+s.Target, driver.Call{Action: c.Action, Params: s.Params})
		if err != nil {
			return nil, err
		}
		step.Track, step.Service, step.Patience, step.Optional = s.Target, s.Service, patience, !ofEntrance
		steps = append(steps, step)
	}
	return steps, nil
}

// resumed words the steps that take back pauses, and adds what follows them.
func (o *opener) resumed(closing *plan.Plan, resume []plan.Step) (after []plan.Step, err error) {
	var owners []string
	for _, s := range closing.Services {
		for _, e := range s.Entrances {
			if e.Owner != "" {
				owners = append(owners, e.Owner)
			}
		}
		for _, w := range s.Workloads {
			if w.Owner != "" {
				owners = append(owners, w.Owner)
			}
		}
	}
	for i := range resume {
		s := &resume[i]
		if !slices.Contains(o.plan.Locks, s.Target) { // one without origin stands for its service, too
			o.plan.Locks = append(o.plan.Locks, s.Target)
		}
		if p, ok := o.Registry.Pause(s.Action); ok {
			s.Title = p.Resume + " " + s.Target
		}
		steps, err := o.afterResume(*s, len(owners) == 0 || slices.Contains(owners, s.Target))
		if err != nil {
			return nil, err
		}
		after = append(after, steps...)
	}
	return after, nil
}
