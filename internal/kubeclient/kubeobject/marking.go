package kubeobject

import (
	"encoding/json"
	"reflect"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// A Marking is the mark of a change in an annotation of its target, for changes
// that write by guarded patches. Without a Mark it leaves and takes nothing.
type Marking struct {
	Key  string // kubeclient.MarkAnnotation, unless one object carries several marks
	Mark *action.Mark
}

// Write leaves the mark where the change reaches its state after, and takes
// this change's mark away where it reaches the one before.
func (m Marking) Write(p *kubeclient.Patch, annotations map[string]string, to any) error {
	switch {
	case m.Mark == nil:
		return nil
	case m.Undoes(to):
		m.Take(p, annotations)
		return nil
	}
	text, err := m.Mark.Text()
	if err != nil {
		return err
	}
	Annotate(p, annotations, m.Key, text)
	return nil
}

// Undoes tells whether to is the state before the marked change.
func (m Marking) Undoes(to any) bool {
	if m.Mark == nil || m.Mark.Receipt.From.IsZero() {
		return false
	}
	var before any
	return json.Unmarshal(m.Mark.Receipt.From.Fields, &before) == nil && reflect.DeepEqual(before, Plain(to))
}

// Take takes this change's mark away, if it is there. Another run's stays.
func (m Marking) Take(p *kubeclient.Patch, annotations map[string]string) (taken bool) {
	old, there := annotations[m.Key]
	if m.Mark == nil || !there || !SameReceipt(old, m.Mark.Receipt) {
		return false
	}
	path := kubeclient.Annotation(m.Key)
	p.Test(path, old).Remove(path)
	return true
}

// Annotate sets an annotation, if it is as annotations have it.
func Annotate(p *kubeclient.Patch, annotations map[string]string, key, value string) {
	path := kubeclient.Annotation(key)
	switch old, there := annotations[key]; {
	case annotations == nil:
		p.Test("/metadata/annotations", nil).Add("/metadata/annotations", map[string]string{key: value})
	case there:
		p.Test(path, old).Add(path, value)
	default:
		p.Test(path, nil).Add(path, value)
	}
}
