package argocd

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/noren-dev/noren/internal/action"
)

// owner is the check argocd/app.owner. It is OK where nobody is known who
// writes the Application's spec, and would switch automated sync on again.
type owner struct{ target }

func openOwner(c *conn, ref Ref) (*owner, error) { return &owner{c.target(ref)}, nil }

// Check looks for an ApplicationSet or a parent Application.
func (o *owner) Check(ctx context.Context) (action.Verdict, error) {
	app, err := o.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	v := action.Verdict{OK: true, Summary: fmt.Sprintf("nobody is known who would switch automated sync of %s on again", o.what())}
	finding := o.set(app)
	if finding == "" {
		if finding, err = o.parent(ctx, app); err != nil {
			return action.Verdict{}, err
		}
	}
	if finding != "" {
		v.OK = false
		v.Summary = fmt.Sprintf("automated sync of %s may not stay paused", o.what())
		v.Findings = []string{fmt.Sprintf("Application %s will be switched on again by %s", o.ref, finding)}
	}
	return v, nil
}

// set names the ApplicationSet that made the Application. It writes the
// template's syncPolicy at each of its reconciles.
// Source: docs/operator-manual/applicationset/Controlling-Resource-Modification.md.
func (o *owner) set(app *application) string {
	for _, r := range app.Metadata.OwnerReferences {
		if r.Kind == "ApplicationSet" && strings.HasPrefix(r.APIVersion, group+"/") {
			return fmt.Sprintf("ApplicationSet %s/%s, which made it, within minutes; "+
				"spec.ignoreApplicationDifferences with the JSON pointer /spec/syncPolicy keeps the set from it", o.ref.Namespace, r.Name)
		}
	}
	return ""
}

// parent names the Application that the Application is a resource of.
func (o *owner) parent(ctx context.Context, app *application) (string, error) {
	name, sure := o.tracker(app)
	if name == "" {
		return "", nil
	}
	ref := o.qualified(name)
	if ref == o.ref {
		return "", nil
	}
	parent, err := o.conn.target(ref).get(ctx)
	switch {
	case apierrors.IsForbidden(err) && sure:
		return fmt.Sprintf("its parent Application %s, whose own policy may not be read", ref), nil
	case apierrors.IsForbidden(err):
		return "", nil
	case err != nil:
		return "", err
	case parent == nil && !sure:
		return "", nil // a label of Helm's or of a person's, which Argo CD's has the same name as
	case parent == nil:
		return fmt.Sprintf("its parent Application %s, if that comes back: it does not exist now", ref), nil
	}
	how, on := automationOf(parent.automated())
	when := "at its next sync, which a person begins"
	if on {
		when = "at its next sync, when Git changes"
	}
	if on && how.SelfHeal {
		when = "within seconds, as it heals itself"
	}
	return fmt.Sprintf("its parent Application %s, %s; spec.ignoreDifferences of the parent for /spec/syncPolicy/automated, "+
		"with the sync option RespectIgnoreDifferences=true, keeps it from that", ref, when), nil
}

// tracker is the name by which Argo CD tracks the Application as a resource of
// another one. The annotation says for which object it was written, so that a
// copied one counts for nothing; the label, Argo CD's way before 3.0, is used
// by others as well.
// Source: ParseAppInstanceValue in util/argo/resource_tracking.go.
func (o *owner) tracker(app *application) (name string, sure bool) {
	name, object, found := strings.Cut(app.Metadata.Annotations[trackingAnnotation], ":")
	if found && object == fmt.Sprintf("%s/Application:%s", group, o.ref) {
		return name, true
	}
	return app.Metadata.Labels[instanceLabel], false
}

// qualified reads the name of an Application, which is "namespace_name" outside
// Argo CD's own namespace.
// Source: AppInstanceName in util/argo/argo.go.
func (o *owner) qualified(name string) Ref {
	if namespace, short, found := strings.Cut(name, "_"); found {
		return Ref{Namespace: namespace, Name: short}
	}
	return Ref{Namespace: o.conn.namespace, Name: name}
}

// Requires lists the permission to read the Application.
func (o *owner) Requires() []action.Permission {
	return o.needs("to see whether an ApplicationSet or a parent Application would undo the pause", "get")
}
