package argocd

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// Words of status.sync.status, status.health.status and status.resources.
// Source: pkg/apis/application/v1alpha1/types.go, gitops-engine/pkg/health/health.go.
const (
	synced    = "Synced"
	outOfSync = "OutOfSync"
	healthy   = "Healthy"
)

// LookParams are the parameters of argocd/app.compared and argocd/app.settled.
type LookParams struct {
	Ref
	// Since is when Argo CD must have compared at the earliest, to the second
	// and by Argo CD's clock. It may be left out after argocd/app.refresh:
	// Argo CD takes the refresh annotation away in the same write in which it
	// reports what it found, which no difference of clocks can spoil.
	Since time.Time `json:"since,omitzero"`
}

// looked is OK when Argo CD has compared the Application with Git since the
// refresh was asked for. Argo CD removes the annotation when it is done.
// Source: persistAppStatus in controller/appcontroller.go.
func (t target) looked(app *application, since time.Time) action.Verdict {
	finding := ""
	_, asked := app.Metadata.Annotations[refreshAnnotation]
	switch at := app.Status.ReconciledAt; {
	case app.Metadata.Annotations[skipAnnotation] == "true":
		finding = fmt.Sprintf("the annotation %s keeps Argo CD away from it; someone must take it away", skipAnnotation)
	case asked:
		finding = "Argo CD has not looked at it since the refresh was asked for; is its application controller running?"
	case at.Before(since.Truncate(time.Second)):
		finding = fmt.Sprintf("Argo CD looked at it last at %s, before %s", at.UTC().Format(time.RFC3339), since.UTC().Format(time.RFC3339))
	default:
		return action.Verdict{OK: true, Summary: fmt.Sprintf("Application %s was compared at %s", t.ref, at.UTC().Format(time.RFC3339))}
	}
	return action.Verdict{
		Summary:  fmt.Sprintf("Application %s was not compared with Git yet", t.ref),
		Findings: []string{fmt.Sprintf("Application %s: %s", t.ref, finding)},
		Try:      []string{fmt.Sprintf("argocd app get %s --app-namespace %s --refresh", t.ref.Name, t.ref.Namespace)},
	}
}

// byHand is the verdict on an Application without automated sync: nobody
// promised that Git's state comes back by itself.
func (t target) byHand(app *application) action.Verdict {
	return action.Verdict{OK: true, Summary: fmt.Sprintf("Application %s is synced by hand; it is %s", t.ref, app.Status.Sync.Status)}
}

// compared is the check argocd/app.compared.
type compared struct {
	target
	since time.Time
}

func openCompared(c *conn, p LookParams) (*compared, error) {
	return &compared{c.target(p.Ref), p.Since}, nil
}

// Check asks whether Argo CD has compared since it was asked to.
func (c *compared) Check(ctx context.Context) (action.Verdict, error) {
	app, err := c.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	if _, on := automationOf(app.automated()); !on {
		return c.byHand(app), nil
	}
	return c.looked(app, c.since), nil
}

// Requires lists the permission to read the Application.
func (c *compared) Requires() []action.Permission {
	return c.needs("to see whether Argo CD has compared it with Git", "get")
}

// settled is the check argocd/app.settled.
type settled struct {
	target
	since time.Time
}

func openSettled(c *conn, p LookParams) (*settled, error) {
	return &settled{c.target(p.Ref), p.Since}, nil
}

// Check asks whether Git's state is back and well.
func (s *settled) Check(ctx context.Context) (action.Verdict, error) {
	app, err := s.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	how, on := automationOf(app.automated())
	if !on {
		return s.byHand(app), nil
	}
	if v := s.looked(app, s.since); !v.OK {
		return v, nil
	}
	if v := s.quiet(app); !v.OK {
		return v, nil
	}
	return s.back(app, how), nil
}

// back tells whether the Application is in sync and healthy.
func (s *settled) back(app *application, how automation) action.Verdict {
	v := action.Verdict{OK: true, Summary: fmt.Sprintf("Application %s is in sync and healthy", s.ref)}
	say := func(format string, args ...any) {
		v.OK = false
		v.Findings = append(v.Findings, fmt.Sprintf("Application %s: ", s.ref)+fmt.Sprintf(format, args...))
	}
	switch st := app.Status.Sync.Status; {
	case st == synced:
	case st == outOfSync && app.onlyPruning() && !how.Prune:
		v.Summary = fmt.Sprintf("Application %s is healthy, and in sync but for what is no longer in Git (prune is off)", s.ref)
	default:
		say("it is %s%s", st, differing(app))
		v.Try = append(v.Try, fmt.Sprintf("argocd app diff %s --app-namespace %s", s.ref.Name, s.ref.Namespace))
	}
	if h := app.Status.Health; h.Status != healthy {
		say("its health is %s%s", h.Status, gitops.Said(h.Message))
	}
	if !v.OK {
		for _, c := range app.Status.Conditions {
			say("%s%s", c.Type, gitops.Said(c.Message))
		}
		v.Summary = fmt.Sprintf("Application %s is not as Git says, or not healthy", s.ref)
	}
	return v
}

// Requires lists the permission to read the Application.
func (s *settled) Requires() []action.Permission {
	return s.needs("to see whether Git's state is back", "get")
}

// onlyPruning tells whether all that differs from Git is what is no longer in
// it: without prune, Argo CD leaves that alone and reports OutOfSync for ever.
// Source: autoSync in controller/appcontroller.go.
func (a *application) onlyPruning() bool {
	differs := func(m managed) bool { return m.Status != synced && !m.RequiresPruning }
	return len(a.Status.Resources) > 0 && !slices.ContainsFunc(a.Status.Resources, differs)
}

// emptied tells whether a sync with prune would remove everything.
func (a *application) emptied() bool {
	kept := func(m managed) bool { return !m.RequiresPruning }
	return len(a.Status.Resources) > 0 && !slices.ContainsFunc(a.Status.Resources, kept)
}

// differing names the first few objects that differ from Git.
func differing(a *application) string {
	const most = 3
	out, more := "", 0
	for _, m := range a.Status.Resources {
		if m.Status == synced || m.Status == "" {
			continue
		}
		if more++; more <= most {
			out += fmt.Sprintf(", %s %s/%s", m.Kind, m.Namespace, m.Name)
		}
	}
	if more > most {
		out += fmt.Sprintf(" and %d more", more-most)
	}
	if out != "" {
		out = " (" + out[2:] + ")"
	}
	return out
}
