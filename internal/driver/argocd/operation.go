package argocd

import (
	"context"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// Phases of an operation that has not ended. With retries, a failed attempt
// shows Running too.
// Source: gitops-engine/pkg/sync/common/types.go and processRequestedAppOperation
// in controller/appcontroller.go.
const (
	phaseRunning     = "Running"
	phaseTerminating = "Terminating"
)

// busy says which operation is asked for or runs, "" if none does. Argo CD
// keeps the top-level operation from the request until its end.
func (a *application) busy() string {
	state := a.Status.OperationState
	running := state != nil && (state.Phase == phaseRunning || state.Phase == phaseTerminating)
	switch {
	case running && state.Phase == phaseTerminating:
		return "a sync is being ended" + started(*state) + gitops.Said(state.Message)
	case running:
		return "a sync is running" + started(*state) + by(state.Operation) + gitops.Said(state.Message)
	case a.Operation != nil:
		return "a sync is asked for and has not begun" + by(*a.Operation)
	default:
		return ""
	}
}

func started(s operationState) string {
	if s.StartedAt.IsZero() {
		return ""
	}
	return " since " + s.StartedAt.UTC().Format(time.RFC3339)
}

func by(o operation) string {
	switch {
	case o.InitiatedBy.Automated:
		return ", begun by automated sync"
	case o.InitiatedBy.Username != "":
		return ", begun by " + o.InitiatedBy.Username
	default:
		return ""
	}
}

// terminate are commands that end the running operation: with Argo CD's own
// tool, and for those who only have kubectl.
// Source: docs/user-guide/commands/argocd_app_terminate-op.md; the API server
// of Argo CD sets the same field (TerminateOperation in
// server/application/application.go). The CRD has no status subresource.
func (r Ref) terminate() []string {
	return []string{
		fmt.Sprintf("argocd app terminate-op %s --app-namespace %s", r.Name, r.Namespace),
		fmt.Sprintf(`kubectl -n %s patch applications.argoproj.io %s --type merge -p '{"status":{"operationState":{"phase":"Terminating"}}}'`, r.Namespace, r.Name),
	}
}

// idle is the check argocd/app.idle.
type idle struct{ target }

func openIdle(c *conn, ref Ref) (*idle, error) { return &idle{c.target(ref)}, nil }

// Check asks for an operation that runs or is asked for.
func (i *idle) Check(ctx context.Context) (action.Verdict, error) {
	app, err := i.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	return i.quiet(app), nil
}

// quiet is OK when no operation runs or is asked for.
func (t target) quiet(app *application) action.Verdict {
	busy := app.busy()
	if busy == "" {
		return action.Verdict{OK: true, Summary: fmt.Sprintf("Application %s: no sync is running", t.ref)}
	}
	return action.Verdict{
		Summary:  fmt.Sprintf("Application %s is busy", t.ref),
		Findings: []string{fmt.Sprintf("Application %s: %s; wait for its end, or end it", t.ref, busy)},
		Try:      t.ref.terminate(),
	}
}

// Requires lists the permission to read the Application.
func (i *idle) Requires() []action.Permission {
	return i.needs("to see whether a sync is running", "get")
}
