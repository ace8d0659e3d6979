package argocd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// Kinds of owner in Argo CD. That of an Application is left out, since most are.
const (
	kindApplication = "Application"
	kindSet         = "ApplicationSet"
)

// ownership is how Argo CD is kept from taking edits back.
func ownership() driver.Ownership[*conn] {
	look := []driver.Then{
		{Action: "argocd/app.refresh", Title: "Ask for a fresh comparison with Git:"},
		{Action: "argocd/app.compared", Title: "Compared with Git:"}, // before it, what the Application says of the sync is old
	}
	return driver.Ownership[*conn]{
		Hold: hold,
		Requires: func(c *conn, o driver.Owner) []action.Permission {
			if o.Kind == kindSet {
				return (&ignoring{set: c.set(SetRef{Namespace: o.Namespace, Name: o.Name})}).Requires()
			}
			return (&pause{target: c.target(Ref{Namespace: o.Namespace, Name: o.Name})}).Requires()
		},
		Pauses: []driver.Pause{
			{Action: "argocd/app.pause", Title: "Pause automated sync of", Resume: "Resume automated sync of", Look: look,
				Settle: append(slices.Clone(look),
					driver.Then{Action: "argocd/app.sync", Title: "Sync, if still out of step with Git:"},
					driver.Then{Action: "argocd/app.settled", Title: "Git's state is back:"})},
			{Action: "argocd/appset.pause", Title: "Keep from switching the sync on again:", Resume: "Hand back the sync policy to"},
		},
	}
}

// hold answers for an Application or an ApplicationSet.
func hold(ctx context.Context, c *conn, o driver.Owner, e driver.Edit) (*driver.Hold, error) {
	if o.Kind == kindSet {
		return c.holdSet(ctx, SetRef{Namespace: o.Namespace, Name: o.Name, Application: e.Name})
	}
	return c.holdApplication(ctx, Ref{Namespace: o.Namespace, Name: o.Name}, e)
}

// holdApplication keeps an Application from taking an edit back: its automated
// sync is paused, and then whoever would switch that on again is next.
func (c *conn) holdApplication(ctx context.Context, ref Ref, e driver.Edit) (*driver.Hold, error) {
	t := c.target(ref)
	app, err := t.must(ctx)
	if err != nil {
		return nil, err
	}
	h := &driver.Hold{Target: t.Target(), Name: t.what()}
	say := func(warn bool, format string, args ...any) {
		h.Notes = append(h.Notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	_, on := automationOf(app.automated())
	switch {
	case !e.OfEntrance() && app.ignores(e):
		say(false, "%s ignores differences in %s of %s %s/%s: it needs no pause.", t.what(), strings.Join(e.Pointers, ", "), e.Kind, e.Namespace, e.Name)
		return h, nil
	case !e.OfEntrance() && !on:
		say(false, "%s keeps %s %s/%s and is synced by hand: it needs no pause, unless somebody syncs it meanwhile.", t.what(), e.Kind, e.Namespace, e.Name)
		return h, nil
	}
	h.Checks = []driver.Call{{Action: "argocd/app.idle", Params: t.ref}}
	h.Pauses = []driver.Call{{Action: "argocd/app.pause", Params: t.ref}}
	if on {
		h.Next = c.keeper(app.Metadata, kindApplication, t.ref, "/spec/syncPolicy/automated")
		h.Notes = append(h.Notes, others(app.Metadata, t.what(), h.Next)...)
	}
	return h, nil
}

// keeper is who writes the spec of an Application or ApplicationSet, and would
// take an edit of it back, nil if nobody is known. An ApplicationSet writes its
// template's spec at each of its reconciles; a parent Application and Flux what
// Git says.
// Source: docs/operator-manual/applicationset/Controlling-Resource-Modification.md,
// docs/operator-manual/cluster-bootstrapping.md.
func (c *conn) keeper(meta metav1.ObjectMeta, kind string, ref Ref, pointer string) *driver.Kept {
	edit := driver.Edit{Group: group, Kind: kind, Namespace: ref.Namespace, Name: ref.Name, Pointers: []string{pointer}}
	for _, r := range meta.OwnerReferences {
		if r.Kind == kindSet && strings.HasPrefix(r.APIVersion, group+"/") {
			return &driver.Kept{Owner: driver.Owner{System: name, Kind: kindSet, Namespace: ref.Namespace, Name: r.Name}, Edit: edit}
		}
	}
	owner := gitops.OwnerOf(&meta, kind)
	if owner == nil {
		return nil
	}
	if owner.System == name {
		owner.Namespace = Ref{Namespace: owner.Namespace}.in(c.namespace).Namespace
		if kind == kindApplication && owner.Namespace == ref.Namespace && owner.Name == ref.Name {
			return nil // a label of Helm's or of a person's, which Argo CD's has the same name as
		}
	}
	return &driver.Kept{Owner: *owner, Edit: edit}
}

// others warns of tools beside the next owner that write the object, and would
// take the pause back when they run.
func others(meta metav1.ObjectMeta, what string, next *driver.Kept) []driver.Note {
	var notes []driver.Note
	var owner *driver.Owner
	if next != nil {
		owner = &next.Owner
	}
	for _, editor := range gitops.Editors(&meta, owner) {
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("%s is also written by %s, which would take back its pause at its next run: let it rest meanwhile.", what, editor)})
	}
	return notes
}

// A difference is an entry of spec.ignoreDifferences.
type difference struct {
	Group        string   `json:"group"`
	Kind         string   `json:"kind"`
	Namespace    string   `json:"namespace"`
	Name         string   `json:"name"`
	JSONPointers []string `json:"jsonPointers"`
}

// respect is the sync option without which ignoreDifferences hides a difference
// and a sync takes it back all the same.
// Source: docs/user-guide/sync-options.md, "Respect ignore difference configs".
const respect = "RespectIgnoreDifferences=true"

// ignores tells whether the Application leaves the edit alone, by its pointers
// written out. Group and kind may be patterns there; one that noren does not
// understand counts for nothing, and the Application is paused.
func (a *application) ignores(e driver.Edit) bool {
	if a.Spec.SyncPolicy == nil || !slices.Contains(a.Spec.SyncPolicy.SyncOptions, respect) {
		return false
	}
	matches := func(pattern, s string) bool { return pattern == s || pattern == "*" }
	for _, pointer := range e.Pointers {
		if !slices.ContainsFunc(a.Spec.IgnoreDifferences, func(d difference) bool {
			return matches(d.Group, e.Group) && matches(d.Kind, e.Kind) && (d.Namespace == "" || d.Namespace == e.Namespace) &&
				(d.Name == "" || d.Name == e.Name) && covers(d.JSONPointers, pointer)
		}) {
			return false
		}
	}
	return true
}

// covers tells whether one of the pointers is that one or leads to a parent of
// it.
func covers(pointers []string, pointer string) bool {
	return slices.ContainsFunc(pointers, func(p string) bool { return p == pointer || p != "" && strings.HasPrefix(pointer, p+"/") })
}

// markPointer leads to noren's mark on an object.
func markPointer() string { return kubeclient.Annotation(markAnnotation) }
