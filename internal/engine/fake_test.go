package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// A fake is a driver whose outside is a directory, so that it outlives the
// process: each thing is a file, a check's verdict is the content of a file,
// and an effect appends a line to one.
type fake struct {
	dir string
	// before is called before each call outside, with its name ("apply web closed"),
	// and may make it fail.
	before func(ctx context.Context, call string) error
	dials  func() error

	mu sync.Mutex // what one process appends, it appends a line at a time
}

// A thing is a target's file. Writes grows by one line in the same write as the
// value, so that a write done twice is seen. Marks are by receipt.
type thing struct {
	Value     *string                `json:"value"` // nil: the target does not exist
	Neighbour string                 `json:"neighbour"`
	Marks     map[string]action.Mark `json:"marks,omitempty"`
	Writes    []string               `json:"writes,omitempty"`
}

func (f *fake) driver() *driver.Driver {
	return driver.New("fake", "Files in a directory.",
		func(context.Context, struct{}, driver.Env) (*fake, error) {
			if f.dials != nil {
				return f, f.dials()
			}
			return f, nil
		},
		driver.Changes("fake/thing", "Sets a thing's value.", func(f *fake, p thingParams) (driver.Typed[thingState], error) {
			return &thingChange{fake: f, thingParams: p}, nil
		}),
		driver.Changes("fake/slow", "Sets a thing's value and waits.", func(f *fake, p thingParams) (driver.Typed[thingState], error) {
			return &slowChange{thingChange{fake: f, thingParams: p, wrap: true}}, nil
		}),
		driver.Checks("fake/ask", "Reads a verdict.", func(f *fake, p named) (*ask, error) { return &ask{f, p.Name}, nil }),
		driver.Effects("fake/tell", "Appends a line.", func(f *fake, p named) (*tell, error) { return &tell{f, p.Name}, nil }),
	)
}

func (f *fake) call(ctx context.Context, what string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.before == nil {
		return nil
	}
	return f.before(ctx, what)
}

func (f *fake) read(name string) (thing, error) {
	var t thing
	raw, err := os.ReadFile(filepath.Join(f.dir, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(raw, &t)
}

// write replaces the file in one step: a killed process leaves the old or the
// new one.
func (f *fake) write(name string, t thing) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	next := filepath.Join(f.dir, name+".next")
	if err := os.WriteFile(next, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(f.dir, name+".json"))
}

type named struct {
	Name string `json:"name"`
}

type thingParams struct {
	Name string  `json:"name"`
	To   *string `json:"to"`
}

type thingState struct {
	Value string `json:"value"`
}

type thingChange struct {
	*fake
	thingParams
	mark *action.Mark
	wrap bool
}

func (c *thingChange) Target() string { return "fake:" + c.Name }

func (c *thingChange) Observe(ctx context.Context) (*thingState, error) {
	if err := c.call(ctx, "observe "+c.Name); err != nil {
		return nil, err
	}
	t, err := c.read(c.Name)
	return stateOf(t.Value), err
}

func stateOf(v *string) *thingState {
	if v == nil {
		return nil
	}
	return &thingState{*v}
}

func (c *thingChange) Propose(*thingState) (*thingState, error) { return stateOf(c.To), nil }

func (c *thingChange) Apply(ctx context.Context, from, to *thingState) error {
	if err := c.call(ctx, "apply "+c.Name+" "+show(to)); err != nil {
		return err
	}
	t, err := c.read(c.Name)
	if err != nil {
		return err
	}
	switch now := stateOf(t.Value); {
	case same(now, to):
		return nil
	case !same(now, from):
		return fmt.Errorf("%s is %s, neither %s nor %s: %w", c.Target(), show(now), show(from), show(to), action.ErrDrift)
	}
	t.Writes = append(t.Writes, show(from)+" to "+show(to))
	t.Value = nil
	if to != nil {
		t.Value = &to.Value
	}
	if c.mark != nil {
		c.remark(&t, to)
	}
	if err := c.write(c.Name, t); err != nil {
		return err
	}
	return c.call(ctx, "answer "+c.Name)
}

func (c *thingChange) remark(t *thing, to *thingState) {
	id := c.mark.Receipt.Run + "/" + c.mark.Receipt.Step
	var receipt *thingState
	if !c.mark.Receipt.To.IsZero() {
		receipt = new(thingState)
		if err := json.Unmarshal(c.mark.Receipt.To.Fields, receipt); err != nil {
			panic(err)
		}
	}
	if same(to, receipt) {
		t.Marks = map[string]action.Mark{id: *c.mark}
	} else {
		delete(t.Marks, id)
	}
}

func (c *thingChange) Marked(m action.Mark) driver.Typed[thingState] {
	with := *c
	with.mark = &m
	if c.wrap {
		return &slowChange{with}
	}
	return &with
}

func same(a, b *thingState) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func show(s *thingState) string {
	if s == nil {
		return "nothing"
	}
	return s.Value
}

// A slowChange has settled when the file <name>.settled is absent or says ok.
type slowChange struct{ thingChange }

func (c *slowChange) Settled(ctx context.Context, want *thingState) (action.Verdict, error) {
	if err := c.call(ctx, "settled "+c.Name+" "+show(want)); err != nil {
		return action.Verdict{}, err
	}
	return c.verdict(c.Name + ".settled")
}

func (f *fake) verdict(file string) (action.Verdict, error) {
	raw, err := os.ReadFile(filepath.Join(f.dir, file))
	text := strings.TrimSpace(string(raw))
	if errors.Is(err, fs.ErrNotExist) || text == "ok" {
		return action.Verdict{OK: true, Summary: "ok"}, nil
	}
	return action.Verdict{Summary: text, Findings: []string{"finding of " + file}, Try: []string{"mend " + file}}, err
}

type ask struct {
	*fake
	name string
}

func (a *ask) Target() string { return "fake:" + a.name }

func (a *ask) Check(ctx context.Context) (action.Verdict, error) {
	if err := a.call(ctx, "check "+a.name); err != nil {
		return action.Verdict{}, err
	}
	return a.verdict(a.name + ".verdict")
}

type tell struct {
	*fake
	name string
}

func (e *tell) Target() string { return "fake:" + e.name }

func (e *tell) Do(ctx context.Context, key string) error {
	if err := e.call(ctx, "do "+e.name); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(e.dir, "effects"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, key); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return e.call(ctx, "told "+e.name)
}
