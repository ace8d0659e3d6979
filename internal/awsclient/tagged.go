package awsclient

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// A Thing is what a change in AWS knows of its target. F is the state's type.
type Thing[F any] interface {
	// Name is the target as a person would say it: "ECS service shop/web".
	Name() string
	// Read reads the state, nil if the target does not exist, and who may carry
	// its tags.
	Read(ctx context.Context) (*F, Tagger, error)
	// Write writes a state over another. It writes nothing but what F holds.
	Write(ctx context.Context, from, to *F) error
}

// A Refuser is a Thing to which some writes may not be made though its state is
// as expected. It is asked before anything is written.
type Refuser[F any] interface {
	Refuse(ctx context.Context, to *F) error
}

// AtOnce is a Thing whose tags are part of what a write replaces: what is changed
// and the mark on it go in one request.
type AtOnce[F any] interface {
	// WriteTagged writes a state, adds tags and takes those with the keys away.
	WriteTagged(ctx context.Context, to *F, add map[string]string, drop []string) error
}

// A Tagger reads and writes the tags of one thing, as it was just read.
type Tagger interface {
	Tags(ctx context.Context) (map[string]string, error)
	Tag(ctx context.Context, tags map[string]string) error
	Untag(ctx context.Context, keys []string) error
}

// Observe is what every change in AWS does to observe.
func Observe[F any](ctx context.Context, t Thing[F]) (*F, error) {
	now, _, err := t.Read(ctx)
	return now, err
}

// Apply is what every change in AWS does to apply. A tag and a change are two
// requests, unless the Thing is [AtOnce]: the mark's tags come before the change and
// go after it, so that what is changed always carries one. AWS has no guarded
// writes: who writes between the read and the write of an Apply is overwritten.
func Apply[F any](ctx context.Context, t Thing[F], m *action.Mark, from, to *F) error {
	now, tags, err := t.Read(ctx)
	if err != nil {
		return err
	}
	there := now != nil && Same(now, to)
	if driver.BatchOf(ctx).Many() && (there || now == nil || !Same(now, from)) {
		// What many share may be older than what somebody wrote since.
		return Apply(driver.Alone(ctx), t, m, from, to)
	}
	undoing := m != nil && undoes(*m, to)
	switch {
	case to == nil:
		return fmt.Errorf("%s: noren does not delete it; its receipt is not one of this action", t.Name())
	case now == nil || !there && !Same(now, from):
		return Drifted(t.Name(), from, now)
	case there && undoing:
		return untag(ctx, tags, *m)
	case there:
		return nil
	}
	return write(ctx, t, tags, m, undoing, now, to)
}

// write writes a state, and the mark before it or, where the change is undone,
// takes it away after it.
func write[F any](ctx context.Context, t Thing[F], tags Tagger, m *action.Mark, undoing bool, now, to *F) error {
	if r, ok := t.(Refuser[F]); ok {
		if err := r.Refuse(ctx, to); err != nil {
			return err
		}
	}
	var add map[string]string
	if m != nil && !undoing {
		var err error
		if add, err = lacking(ctx, t.Name(), tags, *m); err != nil {
			return err
		}
	}
	if one, ok := t.(AtOnce[F]); ok {
		var drop []string
		if undoing {
			var err error
			if drop, err = surplus(ctx, tags, *m); err != nil {
				return err
			}
		}
		return one.WriteTagged(ctx, to, add, drop)
	}
	if len(add) > 0 {
		if err := tags.Tag(ctx, add); err != nil {
			return err
		}
	}
	if err := t.Write(ctx, now, to); err != nil || !undoing {
		return err
	}
	return untag(ctx, tags, *m)
}

// undoes tells whether to is the state before the marked change.
func undoes[F any](m action.Mark, to *F) bool {
	var before F
	return !m.Receipt.From.IsZero() && json.Unmarshal(m.Receipt.From.Fields, &before) == nil && Same(&before, to)
}

// lacking are the tags that the mark still needs. It refuses where another run's
// stands: that run would not find what it has to restore.
func lacking(ctx context.Context, name string, t Tagger, m action.Mark) (map[string]string, error) {
	have, err := t.Tags(ctx)
	if err != nil {
		return nil, err
	}
	want, err := Tags(m)
	if err != nil {
		return nil, err
	}
	if found, marked := MarkIn(name, have); marked && !ofStep(found.Mark, m) {
		return nil, &fault.Fault{Code: fault.Locked, Summary: "changed by another run", Err: action.ErrDrift,
			Detail: fmt.Sprintf("%s carries the mark of run %s, which no run of this state directory has left there. Nothing was written.", name, found.Mark.Receipt.Run),
			Try:    []string{"noren leftovers"}}
	}
	maps.DeleteFunc(want, func(k, v string) bool { return have[k] == v })
	return want, nil
}

// ofStep tells whether a mark that was read is that of the same step. Of one
// that is broken, what can be read is the run.
func ofStep(found, m action.Mark) bool {
	return found.Receipt.Run == m.Receipt.Run && (found.Receipt.Step == "" || found.Receipt.Step == m.Receipt.Step)
}

// surplus are the keys of this change's mark, if it is there. Another run's stays.
func surplus(ctx context.Context, t Tagger, m action.Mark) ([]string, error) {
	have, err := t.Tags(ctx)
	if err != nil {
		return nil, err
	}
	if found, marked := MarkIn("", have); !marked || !ofStep(found.Mark, m) {
		return nil, nil
	}
	return MarkKeys(have), nil
}

// untag takes this change's mark away, if it is there.
func untag(ctx context.Context, t Tagger, m action.Mark) error {
	keys, err := surplus(ctx, t, m)
	if err != nil || len(keys) == 0 {
		return err
	}
	return t.Untag(ctx, keys)
}

// MarkFits fails if the target of a change cannot carry m.
func MarkFits[F any](ctx context.Context, t Thing[F], m action.Mark) error {
	return MarksFit(ctx, t, m, 1)
}

// MarksFit fails if a target cannot carry m and, of the other changes that leave
// theirs there, one each as large: so many marks in all.
func MarksFit[F any](ctx context.Context, t Thing[F], m action.Mark, marks int) error {
	now, tags, err := t.Read(ctx)
	if err != nil || now == nil {
		return err
	}
	have, err := tags.Tags(ctx)
	if err != nil {
		return err
	}
	return Fits(t.Name(), have, m, marks)
}

// Same compares two states as their JSON reads.
func Same[F any](a, b *F) bool {
	if a == nil || b == nil {
		return a == b
	}
	return reflect.DeepEqual(stateOf(a), stateOf(b))
}

func stateOf(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		return map[string]any{"": err}
	}
	out := map[string]any{}
	_ = json.Unmarshal(raw, &out) // a state is an object
	return out
}

// Drifted says in what the target is not as expected, member by member.
func Drifted[F any](name string, expected, found *F) error {
	f := &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: action.ErrDrift}
	switch {
	case found == nil:
		f.Detail = name + " does not exist any more: someone else deleted it. Nothing was written."
		return f
	case expected == nil:
		f.Detail = name + " exists already: someone else created it. Nothing was written."
		return f
	}
	a, b := stateOf(expected), stateOf(found)
	all := maps.Clone(a)
	maps.Copy(all, b)
	var differ []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !reflect.DeepEqual(a[key], b[key]) {
			differ = append(differ, fmt.Sprintf("%s is %s, not %s", key, short(b, key), short(a, key)))
		}
	}
	f.Detail = fmt.Sprintf("%s is not as noren left it: someone else changed it (%s). Nothing was written.", name, strings.Join(differ, ", "))
	return f
}

// short is a member of a state as an error shows it.
func short(from map[string]any, key string) string {
	v, ok := from[key]
	if !ok {
		return "not set"
	}
	raw, err := json.Marshal(v)
	if err != nil || len(raw) > 80 {
		return "otherwise"
	}
	return string(raw)
}

// Describe is a description whose parts are the states as YAML would show them:
// one member a line.
func Describe[F any](line string, from, to *F) action.Description {
	return action.Description{Line: line, Before: lines(from), After: lines(to)}
}

func lines[F any](s *F) string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	members := stateOf(s)
	for _, key := range slices.Sorted(maps.Keys(members)) {
		raw, err := json.Marshal(members[key])
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", key, raw)
	}
	return b.String()
}

// Missing is the answer that a thing is not there. It suggests the nearest of
// those that are.
func (c *Conn) Missing(word, name, list string, have []string) error {
	f := &fault.Fault{Code: fault.NotFound, Summary: word + " does not exist",
		Detail: fmt.Sprintf("There is no %s %s in %s, which is environment %s.", word, name, c.Region(), c.Env.Name),
		Try:    []string{list + " --region " + c.Region() + c.profileFlag()}}
	if near := fault.Nearest(name, have); near != "" {
		f.Detail += fmt.Sprintf(" Did you mean %s?", near)
	}
	return f
}
