package gitops

import (
	"encoding/json"
	"reflect"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// MarkAnnotation holds noren's mark on an object, as action.Mark.Text writes it.
const MarkAnnotation = kubeclient.MarkAnnotation

// A Marking is the mark of a change in an annotation of its target. Without a
// Mark it leaves and takes nothing.
type Marking struct {
	Key  string // MarkAnnotation, unless one object carries several marks
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
	if m.Mark == nil {
		return false
	}
	raw, err := json.Marshal(to)
	var before, want any
	return err == nil && json.Unmarshal(m.Mark.Receipt.From.Fields, &before) == nil && json.Unmarshal(raw, &want) == nil &&
		reflect.DeepEqual(before, want)
}

// Take takes this change's mark away, if it is there. Another run's stays.
func (m Marking) Take(p *kubeclient.Patch, annotations map[string]string) (taken bool) {
	old, there := annotations[m.Key]
	left, _ := action.ParseMark(old) // of one that was edited, what can be read
	if m.Mark == nil || !there ||
		left.Receipt.Run != m.Mark.Receipt.Run || left.Receipt.Step != m.Mark.Receipt.Step {
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
