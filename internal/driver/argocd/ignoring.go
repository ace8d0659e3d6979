package argocd

import (
	"context"
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

const ignorePath = "/spec/ignoreApplicationDifferences"

// Ignoring is the state of argocd/appset.pause: the entries of
// spec.ignoreApplicationDifferences that name the Application. Entries without
// its name are others'.
type Ignoring struct {
	Entries []json.RawMessage `json:"entries,omitempty"`
}

// ignoring is the change argocd/appset.pause.
type ignoring struct {
	set  setTarget
	mark *action.Mark
}

func openIgnoring(c *conn, ref SetRef) (driver.Typed[Ignoring], error) {
	return &ignoring{set: c.set(ref)}, nil
}

// Target names the ApplicationSet, and the Application that it is about.
func (i *ignoring) Target() string { return i.set.Target() }

// Observe reads the entries that name the Application.
func (i *ignoring) Observe(ctx context.Context) (*Ignoring, error) {
	set, err := i.set.get(ctx)
	if err != nil || set == nil {
		return nil, err
	}
	return i.of(set), nil
}

func (i *ignoring) of(set *applicationSet) *Ignoring {
	now := &Ignoring{}
	for _, raw := range set.Spec.Ignore {
		if readIgnored(raw).Name == i.set.ref.Application {
			now.Entries = append(now.Entries, raw)
		}
	}
	return now
}

// Propose adds an entry for exactly this Application.
func (i *ignoring) Propose(from *Ignoring) (*Ignoring, error) {
	if from == nil {
		return nil, i.set.missing()
	}
	raw, err := json.Marshal(map[string]any{"name": i.set.ref.Application, "jsonPointers": policyPointers()})
	if err != nil {
		return nil, err
	}
	for _, have := range from.Entries {
		if sameJSON(have, raw) {
			return from, nil
		}
	}
	return &Ignoring{Entries: append(append([]json.RawMessage{}, from.Entries...), raw)}, nil
}

// Apply writes the list with the entries of to in it, and the mark with it.
func (i *ignoring) Apply(ctx context.Context, from, to *Ignoring) error {
	set, err := i.set.get(ctx)
	if err != nil {
		return err
	}
	if set == nil || from == nil || to == nil {
		if set == nil && to == nil {
			return nil
		}
		return fmt.Errorf("%s: it does not exist, or did not when its state was recorded; see whether it was deleted or renamed on purpose: %w", i.set.what(), action.ErrDrift)
	}
	now := i.of(set)
	patch := (&kubeclient.Patch{}).Test("/metadata/uid", set.Metadata.UID)
	switch marking := i.marking(); {
	case sameEntries(now, to):
		// A colleague took the entry out by hand: the mark may still be there.
		if !marking.Undoes(to) || !marking.Take(patch, set.Metadata.Annotations) {
			return nil
		}
	case !sameEntries(now, from):
		return fmt.Errorf("%s: the entries of spec.ignoreApplicationDifferences for Application %s are %s, noren expected %s or %s; see who changed them, and why, before going on: %w",
			i.set.what(), i.set.ref.Application, shownAll(now), shownAll(from), shownAll(to), action.ErrDrift)
	default:
		i.list(patch, set, to)
		if err := marking.Write(patch, set.Metadata.Annotations, to); err != nil {
			return fmt.Errorf("%s: %w", i.set.what(), err)
		}
	}
	return again(ctx, i.set.write(ctx, patch))
}

// list replaces the whole list, if it is as set has it: beside the entries of
// the Application it stays as it is, in its order. One that becomes empty is
// taken away: Argo CD's own types never write an empty one.
// Source: ApplicationSetSpec in pkg/apis/application/v1alpha1/applicationset_types.go.
func (i *ignoring) list(patch *kubeclient.Patch, set *applicationSet, to *Ignoring) {
	var list []json.RawMessage
	wanted := to.Entries
	for _, raw := range set.Spec.Ignore {
		switch {
		case readIgnored(raw).Name != i.set.ref.Application:
			list = append(list, raw)
		case len(wanted) > 0 && sameJSON(raw, wanted[0]):
			list, wanted = append(list, raw), wanted[1:]
		}
	}
	list = append(list, wanted...)
	if set.Spec.Ignore == nil {
		patch.Test(ignorePath, nil)
	} else {
		patch.Test(ignorePath, set.Spec.Ignore)
	}
	if len(list) > 0 {
		patch.Add(ignorePath, list)
	} else {
		patch.Remove(ignorePath)
	}
}

func (i *ignoring) marking() kubeobject.Marking {
	return kubeobject.Marking{Key: i.set.markKey(), Mark: i.mark}
}

// sameEntries compares by value.
func sameEntries(a, b *Ignoring) bool {
	if len(a.Entries) != len(b.Entries) {
		return false
	}
	for i := range a.Entries {
		if !sameJSON(a.Entries[i], b.Entries[i]) {
			return false
		}
	}
	return true
}

func shownAll(s *Ignoring) string {
	if len(s.Entries) == 0 {
		return "absent"
	}
	raw, err := json.Marshal(s.Entries)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Describe says what the set will leave alone, and shows the YAML.
func (i *ignoring) Describe(from, to *Ignoring) action.Description {
	d := action.Description{Before: setText(from), After: setText(to)}
	switch {
	case from == nil || to == nil:
		d.Line = i.set.what() + " does not exist"
	case sameEntries(from, to):
		d.Line = fmt.Sprintf("%s leaves the sync policy of Application %s alone already: nothing to do", i.set.what(), i.set.ref.Application)
	case len(to.Entries) > len(from.Entries):
		d.Line = fmt.Sprintf("keep %s from switching automated sync of Application %s on again", i.set.what(), i.set.ref.Application)
	default:
		d.Line = fmt.Sprintf("let %s set the sync policy of Application %s again", i.set.what(), i.set.ref.Application)
	}
	return d
}

func setText(s *Ignoring) string {
	switch {
	case s == nil:
		return ""
	case len(s.Entries) == 0:
		return "spec:\n  # no ignoreApplicationDifferences for it\n"
	}
	out, err := yaml.Marshal(map[string]any{"spec": map[string]any{"ignoreApplicationDifferences": s.Entries}})
	if err != nil {
		return shownAll(s)
	}
	return string(out)
}

// Marked returns the same change, leaving m.
func (i *ignoring) Marked(m action.Mark) driver.Typed[Ignoring] { return &ignoring{i.set, &m} }

// Fits tells whether the ApplicationSet could carry the mark beside its own
// annotations.
func (i *ignoring) Fits(ctx context.Context, m action.Mark) error {
	set, err := i.set.get(ctx)
	if err != nil || set == nil {
		return err
	}
	return kubeclient.MarkFitsAt(i.set.markKey(), i.set.what(), m, set.Metadata.Annotations)
}

// Requires lists the permissions to read and to patch the ApplicationSet.
func (i *ignoring) Requires() []action.Permission {
	need := make([]action.Permission, 0, 2)
	for _, v := range []string{"get", "patch"} {
		need = append(need, action.Permission{System: name, Verb: v, Resource: setResource, Namespace: i.set.ref.Namespace, Name: i.set.ref.Name,
			Why: "to keep it from switching automated sync on again"})
	}
	return need
}
