package flux

import (
	"context"
	"fmt"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// ownership is how Flux is kept from taking edits back.
func ownership() driver.Ownership[*conn] {
	pause := func(change, reconcile, ready string) driver.Pause {
		ask, wait := driver.Then{Action: reconcile, Title: "Ask Flux to apply now:"}, driver.Then{Action: ready, Title: "Git's state is back:"}
		return driver.Pause{Action: change, Title: "Suspend", Resume: "Resume", Settle: []driver.Then{ask, wait}, Look: []driver.Then{ask, wait}}
	}
	return driver.Ownership[*conn]{
		Hold: hold,
		Requires: func(c *conn, o driver.Owner) []action.Permission {
			return (&suspend{target: targetOf(c, o)}).Requires()
		},
		Pauses: []driver.Pause{
			pause("flux/kustomization.suspend", "flux/kustomization.reconcile", "flux/kustomization.ready"),
			pause("flux/helmrelease.suspend", "flux/helmrelease.reconcile", "flux/helmrelease.ready"),
		},
	}
}

func targetOf(c *conn, o driver.Owner) target {
	return target{c, kindOf(o.Kind), Ref{Namespace: o.Namespace, Name: o.Name}}
}

// hold keeps a Kustomization or HelmRelease from taking an edit back: it is
// suspended, and then whoever would resume it is next.
func hold(ctx context.Context, c *conn, owner driver.Owner, e driver.Edit) (*driver.Hold, error) {
	t := targetOf(c, owner)
	o, err := t.must(ctx)
	if err != nil {
		return nil, err
	}
	h := &driver.Hold{Target: t.Target(), Name: t.what()}
	say := func(warn bool, format string, args ...any) {
		h.Notes = append(h.Notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	if o.suspended() && !e.OfEntrance() {
		say(false, "%s keeps %s %s/%s and is suspended: it needs no pause, unless somebody resumes it meanwhile.", t.what(), e.Kind, e.Namespace, e.Name)
		return h, nil
	}
	h.Checks = []driver.Call{{Action: "flux/" + t.kind.word + ".idle", Params: t.ref}}
	h.Pauses = []driver.Call{{Action: "flux/" + t.kind.word + ".suspend", Params: t.ref}}
	if o.suspended() {
		return h, nil
	}
	if t.kind.name == gitops.HelmRelease {
		say(false, "%s", t.whyHelm(o))
	}
	h.Next = t.keeper(o, say)
	for _, editor := range gitops.Editors(&o.Metadata, &owner) { // Flux applies it, or is the next
		say(true, "%s is also written by %s, which would take back its pause at its next run: let it rest meanwhile.", t.what(), editor)
	}
	return h, nil
}

// whyHelm says what a HelmRelease would do to an edit. Helm alone corrects
// nothing until the next upgrade.
// Source: https://fluxcd.io/flux/components/helm/helmreleases/#drift-detection
func (t target) whyHelm(o *object) string {
	if o.Spec.DriftDetection != nil && o.Spec.DriftDetection.Mode == "enabled" {
		return fmt.Sprintf("%s corrects drift, and would take the page away within its interval (%s): it is suspended.", t.what(), o.Spec.Interval.Duration)
	}
	return fmt.Sprintf("%s does not correct drift, but would take the page away at its next upgrade: it is suspended, so that none begins.", t.what())
}

// keeper is who applies the object itself, and would resume it, nil if nobody
// is known. What applies it writes spec.suspend only where its manifests do: a
// field that Git does not set stays as it is patched.
// Source: https://fluxcd.io/flux/components/kustomize/kustomizations/#suspending-and-resuming
func (t target) keeper(o *object, say func(warn bool, format string, args ...any)) *driver.Kept {
	owner := gitops.OwnerOf(&o.Metadata, t.kind.name)
	if owner == nil || owner.System == name && targetOf(t.conn, *owner).Target() == t.Target() {
		return nil // Flux that installs itself applies itself
	}
	manager := "argocd-controller"
	if owner.System == name {
		manager = map[string]string{gitops.Kustomization: "kustomize-controller", gitops.HelmRelease: "helm-controller"}[owner.Kind]
	}
	if !gitops.Writes(&o.Metadata, manager, "spec", "suspend") {
		if !owner.Guessed {
			say(false, "%s is itself applied by %s %s/%s, whose manifests do not set spec.suspend: that needs no pause.", t.what(), strings.TrimSpace(owner.System+" "+owner.Kind), owner.Namespace, owner.Name)
		}
		return nil
	}
	return &driver.Kept{Owner: *owner, Edit: driver.Edit{Group: t.kind.resource.Group, Kind: t.kind.name,
		Namespace: t.ref.Namespace, Name: t.ref.Name, Pointers: []string{suspendPath}}}
}
