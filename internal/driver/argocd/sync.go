package argocd

import (
	"context"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// keyInfo is the name of the info item by which noren knows its own operation.
const keyInfo = "noren-key"

// refresh is the effect argocd/app.refresh: it asks Argo CD to compare the
// Application with Git now, and changes nothing else. Argo CD does so by
// itself when automated sync goes on, unless its controller was away at that
// moment; then only after minutes.
type refresh struct{ target }

func openRefresh(c *conn, ref Ref) (*refresh, error) { return &refresh{c.target(ref)}, nil }

// Do asks for a refresh if automated sync is on and none is asked for.
// Asking twice is harmless, so the key is not needed.
func (r *refresh) Do(ctx context.Context, _ string) error {
	app, err := r.must(ctx)
	if err != nil {
		return err
	}
	if _, on := automationOf(app.automated()); !on {
		return nil
	}
	if _, asked := app.Metadata.Annotations[refreshAnnotation]; asked {
		return nil
	}
	patch := r.start(app)
	kubeobject.Annotate(patch, app.Metadata.Annotations, refreshAnnotation, "normal")
	_, err = r.write(ctx, app, patch)
	return again(ctx, err)
}

// Requires lists the permissions to read and to patch the Application.
func (r *refresh) Requires() []action.Permission {
	return r.needs("to ask Argo CD to compare it with Git", "get", "patch")
}

// resync is the effect argocd/app.sync: it asks for the sync that automated sync
// does not begin. Argo CD never syncs by itself to a revision that it has
// synced already, unless selfHeal is on: what was edited meanwhile would stay.
// Source: alreadyAttemptedSync in controller/appcontroller.go.
type resync struct{ target }

func openSync(c *conn, ref Ref) (*resync, error) { return &resync{c.target(ref)}, nil }

// Do asks for a sync if automated sync is on, the Application is OutOfSync and
// no operation runs or is asked for. It prunes as the policy says. An
// operation with the same key is this one, begun by an earlier attempt.
func (s *resync) Do(ctx context.Context, key string) error {
	app, err := s.must(ctx)
	if err != nil {
		return err
	}
	how, on := automationOf(app.automated())
	switch {
	case !on, app.Status.Sync.Status != outOfSync, app.has(key), app.busy() != "":
		return nil
	case app.onlyPruning() && !how.Prune:
		return nil
	case how.Prune && !how.AllowEmpty && app.emptied():
		return &fault.Fault{Code: fault.CheckFailed, Summary: "a sync would remove everything",
			Detail: fmt.Sprintf("%s: Git holds none of its objects any more, and prune is on while allowEmpty is off. No sync was asked for. See what happened to its manifests.", s.what()),
			Try:    []string{fmt.Sprintf("argocd app get %s --app-namespace %s --refresh", s.ref.Name, s.ref.Namespace)}}
	}
	patch := s.start(app).Test("/operation", nil).Add("/operation", s.operation(app, how, key))
	_, err = s.write(ctx, app, patch)
	return again(ctx, err)
}

// operation is what automated sync would ask for, in noren's name.
// Source: autoSync in controller/appcontroller.go. Without a revision Argo CD
// takes the Application's own.
func (s *resync) operation(app *application, how automation, key string) map[string]any {
	request := map[string]any{"prune": how.Prune}
	op := map[string]any{
		"initiatedBy": map[string]any{"username": "noren"},
		"info": []any{
			map[string]any{"name": "Reason", "value": "noren: Git's state comes back after a closing"},
			map[string]any{"name": keyInfo, "value": key},
		},
		"retry": map[string]any{"limit": 5},
		"sync":  request,
	}
	if len(app.Spec.SyncPolicy.SyncOptions) > 0 {
		request["syncOptions"] = app.Spec.SyncPolicy.SyncOptions
	}
	if len(app.Spec.SyncPolicy.Retry) > 0 {
		op["retry"] = app.Spec.SyncPolicy.Retry
	}
	return op
}

// has tells whether the operation asked for, or the last one, has that key.
func (a *application) has(key string) bool {
	ops := []operation{}
	if a.Operation != nil {
		ops = append(ops, *a.Operation)
	}
	if a.Status.OperationState != nil {
		ops = append(ops, a.Status.OperationState.Operation)
	}
	for _, op := range ops {
		for _, i := range op.Info {
			if i.Name == keyInfo && i.Value == key {
				return true
			}
		}
	}
	return false
}

// Requires lists the permissions to read and to patch the Application.
func (s *resync) Requires() []action.Permission {
	return s.needs("to ask Argo CD for a sync", "get", "patch")
}
