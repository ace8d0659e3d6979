package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// A LeftoverReport is what was found in each environment that was looked at.
type LeftoverReport struct {
	Environments []EnvironmentLook
}

// An EnvironmentLook is what was found in one environment.
type EnvironmentLook struct {
	Environment string
	Seen        []driver.Seen
	Unseen      []string // kinds that noren may not look at
	Leftovers   []Leftover
	// Err is why it could not be looked at, or not everywhere.
	Err error

	env   plan.Environment
	marks map[markKey]bool // those that are this environment's, explained or not
}

// A markKey is a mark by the object that carries it, whatever the environment
// is called.
type markKey struct {
	stepKey
	object string
}

// A Cause is why something counts as left over.
type Cause string

// The causes.
const (
	UnknownRun   Cause = "unknown run"       // no run of this state directory left the mark
	EndedRun     Cause = "ended run"         // the run of the mark has ended, and holds its target no longer
	Contended    Cause = "contended"         // another run wants, or holds, the same entrance
	UnusableMark Cause = "unusable mark"     // broken off, edited by hand, or of a newer noren
	CopiedMark   Cause = "copied mark"       // its receipt is another object's
	OtherName    Cause = "other environment" // made where the environment has another name
	OtherCatalog Cause = "other catalog"     // of an entrance that is not in this catalog, or does not tell of which
	NoMark       Cause = "no mark"           // it looks left over; what was before is not known
	Tagged       Cause = "tag"               // noren's own by its tag, and all that is left of its closing
)

// A Leftover is something that earlier work forgot to put back, and that no
// current run of this state directory explains.
type Leftover struct {
	Environment string
	Target      string
	Cause       Cause
	// What says in a sentence what is wrong.
	What string
	// Ours is set unless it may as well be somebody else's work, meant so.
	Ours bool
	// Run, By and Since are those of the mark; without one, By and Since are
	// what the system knows.
	Run     string
	By      string
	Since   time.Time
	Service string
	Until   time.Time
	Reason  string
	// Try are the commands that mend it, or help to.
	Try []string

	mark   action.Mark
	origin *plan.Origin
	mine   bool             // it belongs to an entrance of the catalog, as far as can be told
	made   *driver.Unmarked // what is Tagged, as its driver found it
}

// Recoverable tells whether recover can restore it from its mark, one that is
// not of this catalog if its run is named.
func (l Leftover) Recoverable() bool {
	return slices.Contains([]Cause{UnknownRun, EndedRun, Contended, OtherCatalog}, l.Cause)
}

// Sights says what was looked at: "41 Ingresses, 12 Applications".
func (e EnvironmentLook) Sights() string {
	var parts []string
	for _, s := range e.Seen {
		parts = append(parts, fmt.Sprintf("%d %s", s.Count, s.Kind))
	}
	if len(parts) == 0 {
		return "nothing: no driver of it can look"
	}
	return strings.Join(parts, ", ")
}

// Left tells whether anything was found that is noren's, and so is to be mended.
func (r *LeftoverReport) Left() bool {
	return slices.ContainsFunc(r.Environments, func(e EnvironmentLook) bool {
		return slices.ContainsFunc(e.Leftovers, func(l Leftover) bool { return l.Ours })
	})
}

// Err joins what kept environments from being looked at.
func (r *LeftoverReport) Err() error {
	var errs []error
	for _, e := range r.Environments {
		errs = append(errs, e.Err)
	}
	return joined(errs)
}

// Leftovers looks, side by side, through the environments named (none: all of
// the catalog) for what no current run of this state directory explains. An
// environment that does not answer within the patience given says so in its
// look. It writes nothing.
func (c *Control) Leftovers(ctx context.Context, patience time.Duration, environments ...string) (*LeftoverReport, error) {
	return c.leftovers(ctx, patience, c.session, environments...)
}

// leftovers is Leftovers through sessions that open gives.
func (c *Control) leftovers(ctx context.Context, patience time.Duration, open func(plan.Environment) *driver.Session, environments ...string) (*LeftoverReport, error) {
	var envs []catalog.Environment
	for _, e := range c.Catalog.Environments {
		if len(environments) == 0 || slices.Contains(environments, e.Name) {
			envs = append(envs, e)
		}
	}
	for _, name := range environments {
		if _, err := c.Catalog.Environment(name); err != nil {
			return nil, err
		}
	}
	held := newHoldings()
	if err := held.add(ctx, c); err != nil {
		return nil, err
	}
	looks := make([]look, len(envs))
	var g errgroup.Group
	for i, env := range envs {
		g.Go(func() error {
			looks[i] = c.look(ctx, env, patience, open)
			return nil
		})
	}
	_ = g.Wait()
	if err := held.add(ctx, c); err != nil {
		return nil, err
	}
	r := &LeftoverReport{}
	for _, l := range looks {
		e, err := c.assess(ctx, l, held)
		if err != nil {
			return nil, err
		}
		r.Environments = append(r.Environments, e)
	}
	r.dropDoubles()
	return r, nil
}

// A look is what the drivers of an environment found.
type look struct {
	env     plan.Environment
	session *driver.Session
	found   *driver.Traces
	err     error
}

func (c *Control) look(ctx context.Context, env catalog.Environment, patience time.Duration, open func(plan.Environment) *driver.Session) look {
	l := look{found: &driver.Traces{}}
	if l.env, l.err = c.planEnvironment(env); l.err != nil {
		return l
	}
	l.session = open(l.env)
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l.found, l.err = l.session.Traces(bounded)
	if l.err != nil {
		l.err = c.unlooked(env.Name, patience, l.err)
	}
	return l
}

// unlooked says that an environment could not be looked at.
func (c *Control) unlooked(env string, patience time.Duration, err error) error {
	var about *driver.SectionError
	if errors.As(err, &about) { // said once, where it stands
		return c.located(env, "", catalog.Section{}, about)
	}
	var f *fault.Fault
	if errors.As(err, &f) && f.Code != fault.Unavailable {
		return err
	}
	detail := fmt.Sprintf("%s: %v.", env, err)
	if errors.Is(err, context.DeadlineExceeded) {
		detail = fmt.Sprintf("%s did not answer within %s: %v.", env, patience, err)
	}
	return &fault.Fault{Code: fault.Unavailable, Summary: "environment cannot be looked at", Detail: detail,
		Try: []string{"noren check --live --env " + env}, Err: err}
}

// assess tells what of a look is left over.
func (c *Control) assess(ctx context.Context, l look, held *holdings) (EnvironmentLook, error) {
	e := EnvironmentLook{Environment: l.env.Name, Seen: l.found.Seen, Unseen: l.found.Unseen, Err: l.err, env: l.env, marks: map[markKey]bool{}}
	mine, err := c.scope(l.env.Name)
	if err != nil {
		return e, err
	}
	for _, m := range l.found.Marks {
		left, err := c.assessMark(ctx, l, m, held, mine)
		if err != nil {
			return e, err
		}
		if left == nil || left.Cause != OtherName {
			e.marks[markKey{keyOf(m.Mark.Receipt), withoutEnvironment(m.On)}] = true
		}
		if left != nil {
			e.Leftovers = append(e.Leftovers, *left)
		}
	}
	for _, u := range l.found.Unmarked {
		if held.targets[u.Target] {
			continue
		}
		left := Leftover{Environment: e.Environment, Target: u.Target, Cause: NoMark, What: sentence(u.What), Ours: u.Ours, By: u.By, Since: u.Since, Try: u.Advice, mine: mine.mentions(u.Target)}
		if u.Made != nil {
			if left, err = c.assessMade(l, e.Leftovers, left, u); err != nil {
				return e, err
			}
		}
		e.Leftovers = append(e.Leftovers, left)
	}
	e.tellNewestEnd()
	slices.SortStableFunc(e.Leftovers, func(a, b Leftover) int {
		return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Target, b.Target))
	})
	return e, e.contend(held, c.Registry.Pause)
}

// tellNewestEnd gives all marks of a service the end of the one that was written by
// the latest extension: an extension writes only those beside a page.
func (e *EnvironmentLook) tellNewestEnd() {
	key := func(l Leftover) string { return l.Run + " " + l.Service } // an extension is of services
	newest := map[string]*plan.Origin{}
	for _, l := range e.Leftovers {
		if o := l.origin; o != nil && (newest[key(l)] == nil || o.Moves > newest[key(l)].Moves) {
			newest[key(l)] = o
		}
	}
	for i, l := range e.Leftovers {
		if o := newest[key(l)]; o != nil && l.origin != nil {
			e.Leftovers[i].Until = o.Until
		}
	}
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// assessMark returns why a mark is left over, nil if a current run explains it.
func (c *Control) assessMark(ctx context.Context, l look, m driver.FoundMark, held *holdings, mine scope) (*Leftover, error) {
	r := m.Mark.Receipt
	left := &Leftover{Environment: l.env.Name, Target: m.On, Ours: true, Run: r.Run, By: m.Mark.Actor, Since: r.TakenAt, mark: m.Mark, mine: mine.mentions(m.On)}
	if m.Wrong != "" {
		if held.targets[m.On] {
			return nil, nil // this state has the receipt itself
		}
		return left.unusable("The mark cannot be relied on: " + m.Wrong), nil
	}
	in, err := l.session.At(m.Cluster).Action(ctx, r.Action, m.Mark.Params)
	if err != nil {
		return left.unusable(fmt.Sprintf("The mark cannot be read: %v", err)), nil
	}
	regrouped := in.Target == m.On && l.regrouped(m)
	if in.Target != m.On || withoutEnvironment(r.Target) != withoutEnvironment(m.On) && !regrouped {
		left.Cause = CopiedMark
		left.What = fmt.Sprintf("The mark is that of %s: somebody copied the object with its annotations. Nothing is restored from it.", r.Target)
		left.Try = []string{"take the annotation noren.dev/mark off " + m.On + ", and see what else was copied"}
		return left, nil
	}
	if held.steps[keyOf(r)] {
		return nil, nil
	}
	if regrouped {
		left.Cause = OtherName
		left.What = fmt.Sprintf("It was left by a closing that called this place %s: the clusters of %s were others then, or had other names. If nobody copied the object here, recover it with a catalog like that of then.",
			r.Target, l.env.Name)
		left.Try = []string{"noren recover --env " + environmentOf(r.Target) + "     # with a catalog in which the place has that name"}
		return left, nil
	}
	if r.Target != m.On {
		left.Cause = OtherName
		left.What = fmt.Sprintf("It was left by a closing in environment %s, as this noren calls %s.", environmentOf(r.Target), l.env.Name)
		left.Try = []string{"noren recover --env " + environmentOf(r.Target) + "     # with a catalog in which the environment has that name"}
		return left, nil
	}
	if left.origin, err = plan.OriginOf(m.Mark); err != nil {
		return left.unusable(fmt.Sprintf("The mark cannot be read: %v", err)), nil
	}
	return left, c.assessRun(ctx, left, mine)
}

// assessRun tells what can be done about a sound mark.
func (c *Control) assessRun(ctx context.Context, l *Leftover, mine scope) error {
	if o := l.origin; o != nil {
		l.Service, l.Until, l.Reason = o.Service.Name, o.Until, o.Reason
	}
	l.Try = []string{"noren recover --env " + l.Environment}
	if err := c.known(ctx, l); err != nil {
		return err
	}
	if l.Cause == EndedRun {
		l.Try = append(l.Try, "take the annotation noren.dev/mark off "+l.Target+"     # if it is meant to stay as it is")
	}
	if l.mine = mine.covers(l.origin); l.mine {
		return nil
	}
	l.Cause = OtherCatalog
	l.Try[0] += " --run " + l.Run
	if l.origin == nil {
		l.What += " It is of an older noren and does not tell of which service."
	} else {
		l.Ours = false
		l.What += " Its entrance is not in this catalog: it may be another team's, at work."
	}
	return nil
}

func (l *Leftover) unusable(what string) *Leftover {
	l.Cause, l.What = UnusableMark, strings.TrimSuffix(what, ".")+". What was there before cannot be told from it."
	l.Try = []string{"put " + l.Target + " back by hand, and take the annotation noren.dev/mark off it"}
	return l
}

// known tells whether this state has the run of a mark, which then has ended.
func (c *Control) known(ctx context.Context, l *Leftover) error {
	r, err := c.store.Run(ctx, l.Run)
	switch {
	case errors.Is(err, &fault.Fault{Code: fault.NotFound}):
		l.Cause, l.What = UnknownRun, "No run of this state directory left it."
		return nil
	case err != nil:
		return err
	}
	l.Cause, l.What = EndedRun, fmt.Sprintf("Run %s ended (%s) and holds it no longer, yet its mark is there.", r.ID, r.Status)
	return nil
}

// contend marks those leftovers whose entrances more than one run wants.
func (e *EnvironmentLook) contend(held *holdings, pauses plan.Pauses) error {
	wants := map[string][]string{} // runs by entrance
	byRun := map[string][]string{} // entrances by run
	for run, marks := range e.byRun() {
		p, _, err := plan.Rebuild(e.env, marks, pauses)
		if err != nil {
			return err
		}
		byRun[run] = p.Locks
		for _, target := range p.Locks {
			wants[target] = append(wants[target], run)
		}
	}
	for i := range e.Leftovers {
		l := &e.Leftovers[i]
		if !l.Recoverable() || !l.Ours {
			continue
		}
		for _, target := range byRun[l.Run] {
			others := slices.DeleteFunc(slices.Sorted(slices.Values(wants[target])), func(r string) bool { return r == l.Run })
			switch {
			case held.targets[target]:
				l.Cause, l.What = Contended, fmt.Sprintf("%s is held by a run of this state directory too: open that first.", target)
				l.Try = []string{"noren status     # which service it is, to open first", "noren recover --env " + e.Environment + " --run " + l.Run + "     # afterwards"}
			case len(others) > 0:
				l.Cause, l.What = Contended, fmt.Sprintf("%s is marked by run %s too. Recover one after the other, the newest first.", target, strings.Join(others, ", "))
				l.Try = []string{"noren recover --env " + e.Environment + " --run " + l.Run}
			}
		}
	}
	return nil
}

// byRun are the marks that can be recovered, by their run.
func (e *EnvironmentLook) byRun() map[string][]action.Mark {
	all := map[string][]action.Mark{}
	for _, l := range e.Leftovers {
		if l.Recoverable() {
			all[l.Run] = append(all[l.Run], l.mark)
		}
	}
	return all
}

// dropDoubles leaves out what two names of one place show twice: a mark that
// belongs to the one is not left over in the other.
func (r *LeftoverReport) dropDoubles() {
	for i := range r.Environments {
		e := &r.Environments[i]
		e.Leftovers = slices.DeleteFunc(e.Leftovers, func(l Leftover) bool {
			key := markKey{keyOf(l.mark.Receipt), withoutEnvironment(l.Target)}
			return l.Cause == OtherName && slices.ContainsFunc(r.Environments, func(other EnvironmentLook) bool { return other.marks[key] })
		})
	}
}

// A target is "system:environment/…".
// regrouped tells whether a mark is of this object as it was called before its
// cluster was put under clusters, taken out, or renamed. A mark of a cluster that
// the environment still has is a copy from there.
func (l look) regrouped(m driver.FoundMark) bool {
	was := ""
	if o, err := plan.OriginOf(m.Mark); err == nil && o != nil {
		was = o.Cluster
	}
	if _, still := l.env.Clusters[was]; still || was == m.Cluster {
		return false
	}
	return withoutCluster(m.Mark.Receipt.Target, was) == withoutCluster(m.On, m.Cluster)
}

// withoutCluster is withoutEnvironment, and without the cluster, "" for none.
func withoutCluster(target, cluster string) string {
	target = withoutEnvironment(target)
	if cluster == "" {
		return target
	}
	system, object, _ := strings.Cut(target, ":")
	return system + ":" + strings.TrimPrefix(object, cluster+"/")
}

func withoutEnvironment(target string) string {
	system, rest, _ := strings.Cut(target, ":")
	_, object, _ := strings.Cut(rest, "/")
	return system + ":" + object
}

func environmentOf(target string) string {
	_, rest, _ := strings.Cut(target, ":")
	env, _, _ := strings.Cut(rest, "/")
	return env
}
