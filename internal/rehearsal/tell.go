package rehearsal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// tell puts into a report what the two acts were. records, if not nil, has
// earlier runs.
func tell(ctx context.Context, out *report.Rehearsal, closing, opening act, records *control.Control) error {
	past, err := earlier(ctx, records, out.Environment)
	if err != nil {
		return err
	}
	out.Steps, out.CannotUndo, out.Expected, out.Notes = []report.RehearsedStep{}, []report.Stuck{}, []report.Expected{}, []report.Fact{}
	for doing, a := range acts(closing, opening) {
		if a.run != nil {
			out.Steps = append(out.Steps, steps(doing, a)...)
			out.CannotUndo = append(out.CannotUndo, lasting(a.run)...)
			out.Expected = append(out.Expected, past.expected(doing, a.run.Plan))
		}
		if out.Failure == nil {
			out.Failure = failure(doing, a)
		}
	}
	out.AtRest = []string{}
	if closing.run != nil {
		for _, s := range closing.run.Plan.Services {
			for _, w := range s.Workloads {
				out.AtRest = append(out.AtRest, w.Target)
			}
		}
		for _, n := range closing.run.Plan.Notes {
			if n.Warn {
				out.Notes = append(out.Notes, report.Fact{Name: strings.Join(n.Targets, ", "), Value: n.Text})
			}
		}
	}
	return nil
}

// acts are the closing and the opening that were begun, in this order.
func acts(closing, opening act) func(func(string, act) bool) {
	return func(yield func(string, act) bool) {
		if !yield("closing", closing) || opening.run == nil && opening.failed == nil {
			return
		}
		yield("opening", opening)
	}
}

func steps(doing string, a act) []report.RehearsedStep {
	var all []report.RehearsedStep
	for _, stage := range a.run.Plan.Stages {
		for _, s := range stage.Steps {
			st := a.run.Steps[s.ID]
			one := report.RehearsedStep{Doing: doing, Stage: string(stage.Name), Title: s.Title, Change: s.Description.Line, Status: string(st.Status)}
			if end, ended := a.ended[s.ID]; ended && !st.Started.IsZero() {
				one.Took = end.Sub(st.Started)
				one.Seconds = one.Took.Seconds()
			}
			all = append(all, one)
		}
	}
	return all
}

// lasting is what no undo takes back: effects, and what ends with a workload.
func lasting(r *run.Run) []report.Stuck {
	var all []report.Stuck
	for _, stage := range r.Plan.Stages {
		for _, s := range stage.Steps {
			switch {
			case s.Kind == action.KindEffect:
				what := strings.TrimSuffix(strings.TrimSuffix(s.Title, s.Target), ": ")
				all = append(all, report.Stuck{Run: r.ID, Target: s.Target, Why: what + " (what that sets off has no undo)"})
			case stage.Name == plan.StageRest && isWorkload(r.Plan, s.Target) && !s.From.Equal(s.To):
				all = append(all, report.Stuck{Run: r.ID, Target: s.Target, Why: "what runs in it ends, and what falls due meanwhile does not begin; opening makes up for neither"})
			}
		}
	}
	return all
}

func isWorkload(p *plan.Plan, target string) bool {
	return slices.ContainsFunc(p.Services, func(s plan.Service) bool {
		return slices.ContainsFunc(s.Workloads, func(w plan.Workload) bool { return w.Target == target })
	})
}

// failure is where an act failed, nil if it did not.
func failure(doing string, a act) *report.RehearsalFailure {
	if a.ok() {
		return nil
	}
	f := &report.RehearsalFailure{Doing: doing, Written: []string{}}
	if a.failed != nil {
		if p := run.ProblemOf(a.failed); p != nil {
			f.Problem = *p
		}
		f.Undo = "There was nothing to take back: it failed before anything of it was written. What the closing had changed was still changed."
		return f
	}
	if a.run.Problem != nil {
		f.Problem = *a.run.Problem
	} else {
		f.Problem = run.Problem{Summary: "the run ended " + string(a.run.Status)}
	}
	for _, s := range a.run.Plan.Steps() {
		if st := a.run.Steps[s.ID]; st.Problem != nil && !s.Optional && f.Step == "" {
			f.Step = s.Title
		}
	}
	for _, s := range a.broke {
		line := s.Description.Line
		if line == "" {
			line = s.Title
		}
		f.Written = append(f.Written, line)
	}
	f.Undo = undo(doing, a)
	return f
}

func undo(doing string, a act) string {
	switch back := "everything was as before"; {
	case len(a.broke) == 0:
		return "There was nothing to take back: nothing had been written."
	case a.run.Status == run.Undone:
		if doing == "opening" {
			back = "all was closed again as it had been"
		}
		what := "the one change"
		if len(a.broke) > 1 {
			what = fmt.Sprintf("the %d changes", len(a.broke))
		}
		return fmt.Sprintf("Taking back %s went through, and %s.", what, back)
	default:
		return fmt.Sprintf("Taking back did not go through: the run ended %s.", a.run.Status)
	}
}

// A past is how long the steps of earlier runs took, by action and kind of run.
type past struct {
	took map[string][]time.Duration
	runs map[plan.Kind]int
}

// mostRuns is how many runs of the past are looked at.
const mostRuns = 200

// earlier reads the runs that are done in an environment.
func earlier(ctx context.Context, c *control.Control, env string) (past, error) {
	p := past{map[string][]time.Duration{}, map[plan.Kind]int{}}
	if c == nil {
		return p, nil
	}
	all, err := c.Runs(ctx, mostRuns)
	if err != nil {
		return p, err
	}
	for _, r := range all {
		if r.Status != run.Done || r.Plan.Environment.Name != env {
			continue
		}
		p.runs[r.Plan.Kind]++
		for _, s := range r.Plan.Steps() {
			if st := r.Steps[s.ID]; st.Status == run.StepIsDone && !st.Started.IsZero() {
				key := ofRun(r.Plan.Kind, s.Action)
				p.took[key] = append(p.took[key], st.Ended.Sub(st.Started))
			}
		}
	}
	return p, nil
}

func ofRun(k plan.Kind, name string) string { return string(k) + " " + name }

// A figure is how long something usually takes, as published.
type figure struct {
	kind   plan.Kind // "" for any
	prefix string    // of the action's name
	about  time.Duration
	text   string
}

// figures for what has never been measured here.
func figures() []figure {
	const alb = "a rule of an AWS load balancer: a few seconds where its controller is well; 10 to 20 minutes were reported while it backs off from errors (https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1414, …/3326)"
	return []figure{
		{"", "kube/ingress.overlay", 5 * time.Second, alb},
		{"", "kube/ingress.patch", 5 * time.Second, alb},
		{plan.Close, "kube/workload.scale", 30 * time.Second, "a pod has 30 seconds to end unless it says otherwise (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination)"},
		{"", "argocd/app.settled", 5 * time.Second, "Argo CD waits 5 seconds between attempts to heal (https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/); its comparison comes on top"},
	}
}

// instant are parts of action names that only read or write one object, which
// the rehearsal itself has measured well enough.
var instant = []string{".unchanged", ".idle", ".healthy", ".pause", ".refresh", ".sync", ".pin", "kube/page", "kube/backend"}

// expected is how long a plan should take for real: the longest way through each
// stage, by the median of what such steps took before.
func (p past) expected(doing string, of *plan.Plan) report.Expected {
	e := report.Expected{Doing: doing, Measured: p.runs[of.Kind], Basis: []string{}, Unknown: []string{}}
	for _, stage := range of.Stages {
		tracks := map[string]time.Duration{}
		for _, s := range stage.Steps {
			tracks[s.Track] += p.step(&e, of.Kind, s)
		}
		e.About += slices.Max(append(slices.Collect(maps.Values(tracks)), 0))
	}
	e.Seconds = e.About.Seconds()
	return e
}

func (p past) step(e *report.Expected, k plan.Kind, s plan.Step) time.Duration {
	if took := p.took[ofRun(k, s.Action)]; len(took) > 0 {
		slices.Sort(took)
		return took[len(took)/2]
	}
	for _, f := range figures() {
		if strings.HasPrefix(s.Action, f.prefix) && (f.kind == "" || f.kind == k) {
			add(&e.Basis, f.text)
			return f.about
		}
	}
	if !slices.ContainsFunc(instant, func(part string) bool { return strings.Contains(s.Action, part) }) {
		add(&e.Unknown, s.Title)
	}
	return 0
}

func add(list *[]string, text string) {
	if !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}
