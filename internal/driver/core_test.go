package driver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// A box is a driver whose every call is what the test makes of it.
type box struct {
	call func(ctx context.Context, what string, from, to *boxState) error
	now  *boxState
}

type boxConfig struct {
	URL  string `json:"url"`
	Team string `json:"team"`
}

func (c *boxConfig) Validate() error {
	if c.Team == "none" {
		return errors.New("team: must be somebody")
	}
	return nil
}

type boxParams struct {
	Name string `json:"name"`
}

func (p *boxParams) Validate() error {
	if p.Name == "" {
		return errors.New("name: missing")
	}
	return nil
}

type boxState struct {
	Value string `json:"value"`
}

type boxChange struct {
	*box
	name string
}

func (c boxChange) Target() string { return "box:" + c.name }
func (c boxChange) Observe(ctx context.Context) (*boxState, error) {
	return c.now, c.call(ctx, "observe", nil, nil)
}
func (c boxChange) Propose(from *boxState) (*boxState, error) {
	if from == nil {
		return &boxState{"made"}, nil
	}
	return nil, nil
}
func (c boxChange) Apply(ctx context.Context, from, to *boxState) error {
	return c.call(ctx, "apply", from, to)
}
func (c boxChange) Check(ctx context.Context) (action.Verdict, error) {
	return action.Verdict{OK: true}, c.call(ctx, "check", nil, nil)
}
func (c boxChange) Do(ctx context.Context, key string) error {
	return c.call(ctx, "do "+key, nil, nil)
}

func (b *box) driver(got *boxConfig, dials *int) *driver.Driver {
	return driver.New("box", "A box.", func(_ context.Context, c boxConfig, _ driver.Env) (*box, error) {
		*got = c
		*dials++
		if c.URL == "down" {
			return nil, errors.New("connection refused")
		}
		return b, nil
	},
		driver.Inherits[*box]("cluster", "url"),
		driver.Changes("box/put", "Puts.", func(b *box, p boxParams) (driver.Typed[boxState], error) { return boxChange{b, p.Name}, nil }),
		driver.Checks("box/look", "Looks.", func(b *box, p boxParams) (boxChange, error) { return boxChange{b, p.Name}, nil }),
		driver.Effects("box/ring", "Rings.", func(b *box, p boxParams) (boxChange, error) { return boxChange{b, p.Name}, nil }))
}

func session(b *box, configs map[string]json.RawMessage) (*driver.Session, *boxConfig, *int) {
	got, dials := &boxConfig{}, new(int)
	return driver.NewRegistry(b.driver(got, dials)).Open(driver.Env{Name: "test"}, configs), got, dials
}

func TestStrictDecoding(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, config, params, want string }{
		{"right", `{"url":"u"}`, `{"name":"a"}`, ""},
		{"no configuration", ``, `{"name":"a"}`, ""},
		{"unknown key", `{"ulr":"u"}`, `{"name":"a"}`, `box: configuration: json: unknown field "ulr"`},
		{"not valid", `{"team":"none"}`, `{"name":"a"}`, "box: configuration: team: must be somebody"},
		{"wrong type", `{"url":1}`, `{"name":"a"}`, "box: configuration: "},
		{"two values", `{} {}`, `{"name":"a"}`, "box: configuration: more than one JSON value"},
		{"rubbish after", `{}]`, `{"name":"a"}`, "box: configuration: more than one JSON value"},
		{"unknown parameter", ``, `{"name":"a","nmae":"b"}`, `box/put: parameters: json: unknown field "nmae"`},
		{"missing parameter", ``, `{}`, "box/put: parameters: name: missing"},
		{"no parameters", ``, ``, "box/put: parameters: name: missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := session(&box{}, map[string]json.RawMessage{"box": json.RawMessage(tt.config)})
			_, err := s.Action(t.Context(), "box/put", json.RawMessage(tt.params))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, tt := range []struct {
		name    string
		configs map[string]json.RawMessage
		url     string
	}{
		{"inherits", map[string]json.RawMessage{"cluster": raw(`{"url":"theirs","other":1}`), "box": raw(`{"team":"t"}`)}, "theirs"},
		{"inherits without a section", map[string]json.RawMessage{"cluster": raw(`{"url":"theirs"}`)}, "theirs"},
		{"has its own", map[string]json.RawMessage{"cluster": raw(`{"url":"theirs"}`), "box": raw(`{"url":"mine"}`)}, "mine"},
		{"an empty parent", map[string]json.RawMessage{"cluster": nil}, ""},
	} {
		s, got, dials := session(&box{}, tt.configs)
		for range 2 {
			if _, err := s.Action(t.Context(), "box/put", raw(`{"name":"a"}`)); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if got.URL != tt.url || *dials != 1 {
			t.Errorf("%s: url %q after %d dials", tt.name, got.URL, *dials)
		}
	}
	s, _, dials := session(&box{}, map[string]json.RawMessage{"box": raw(`{"url":"down"}`)})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.Action(t.Context(), "box/put", raw(`{"name":"a"}`)); err == nil || err.Error() != "connection refused" {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if *dials != 1 {
		t.Errorf("dialled %d times: a person reads one error", *dials)
	}
	if _, err := s.Action(t.Context(), "box/new", nil); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("unknown action: %v", err)
	}
	if _, err := s.Entrance(t.Context(), "box/door", "a", nil); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("unknown entrance: %v", err)
	}
}

func TestTwoOfANamePanic(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("two drivers of one name")
		}
	}()
	d := (&box{}).driver(&boxConfig{}, new(int))
	driver.NewRegistry(d, d)
}

func TestGuardRetries(t *testing.T) {
	t.Parallel()
	busy := fmt.Errorf("503: %w", action.ErrUnavailable)
	tests := []struct {
		name  string
		errs  []error // one for each call, then nil
		calls int
		want  error
		most  time.Duration
	}{
		{"at once", nil, 1, nil, 0},
		{"after two", []error{busy, busy}, 3, nil, 188 * time.Millisecond},
		{"gives up", slices.Repeat([]error{busy}, 9), 8, action.ErrUnavailable, 2413 * time.Millisecond},
		{"was prepared from an old list", []error{errors.Join(busy, driver.ErrOutdated)}, 2, nil, 0},
		{"is outdated again", []error{errors.Join(busy, driver.ErrOutdated), errors.Join(busy, driver.ErrOutdated)}, 3, nil, 75 * time.Millisecond},
		{"drift is final", []error{action.ErrDrift}, 1, action.ErrDrift, 0},
		{"busy, then drift", []error{busy, action.ErrDrift}, 2, action.ErrDrift, 75 * time.Millisecond},
	}
	do := map[string]func(context.Context, *driver.Session) error{
		"observe": func(ctx context.Context, s *driver.Session) error {
			in, err := s.Action(ctx, "box/put", json.RawMessage(`{"name":"a"}`))
			if err == nil {
				_, err = in.Change.Observe(ctx)
			}
			return err
		},
		"apply": func(ctx context.Context, s *driver.Session) error {
			in, err := s.Action(ctx, "box/put", json.RawMessage(`{"name":"a"}`))
			if err == nil {
				err = in.Change.Apply(ctx, action.State{}, action.State{})
			}
			return err
		},
		"check": func(ctx context.Context, s *driver.Session) error {
			in, err := s.Action(ctx, "box/look", json.RawMessage(`{"name":"a"}`))
			if err == nil {
				_, err = in.Check.Check(ctx)
			}
			return err
		},
		"do key": func(ctx context.Context, s *driver.Session) error {
			in, err := s.Action(ctx, "box/ring", json.RawMessage(`{"name":"a"}`))
			if err == nil {
				err = in.Effect.Do(ctx, "key")
			}
			return err
		},
	}
	for _, tt := range tests {
		for what, f := range do {
			t.Run(tt.name+"/"+what, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					calls := 0
					b := &box{call: func(_ context.Context, got string, _, _ *boxState) error {
						if got != what {
							t.Errorf("called %q", got)
						}
						calls++
						if calls <= len(tt.errs) {
							return tt.errs[calls-1]
						}
						return nil
					}}
					s, _, _ := session(b, nil)
					began := time.Now()
					err := f(t.Context(), s)
					if took := time.Since(began); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) || calls != tt.calls || took > tt.most {
						t.Errorf("%v after %d calls in %s, want %v after %d within %s", err, calls, took, tt.want, tt.calls, tt.most)
					}
				})
			})
		}
	}
}

// A call that hangs is cut off and tried again, and is unavailable at last.
func TestGuardDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := &box{call: func(ctx context.Context, _ string, _, _ *boxState) error {
			calls++
			<-ctx.Done()
			return fmt.Errorf("patch: %w", ctx.Err())
		}}
		s, _, _ := session(b, nil)
		in, err := s.Action(t.Context(), "box/look", json.RawMessage(`{"name":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = in.Check.Check(t.Context())
		if took := time.Since(began); !errors.Is(err, action.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || calls != 4 || took < 2*time.Minute || took > 2*time.Minute+time.Second {
			t.Errorf("%v after %d calls in %s", err, calls, took)
		}
	})
}

// Before a run a call may take less, and all of them as long as ctx says.
func TestGuardBeforeARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := &box{call: func(ctx context.Context, _ string, _, _ *boxState) error {
			calls++
			<-ctx.Done()
			return fmt.Errorf("get: %w", ctx.Err())
		}}
		s := driver.NewRegistry(b.driver(&boxConfig{}, new(int))).Open(driver.Env{CallPatience: 10 * time.Second}, nil)
		in, err := s.Action(t.Context(), "box/look", json.RawMessage(`{"name":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		began := time.Now()
		_, err = in.Check.Check(ctx)
		if took := time.Since(began); !errors.Is(err, action.ErrUnavailable) || calls != 3 || took != 25*time.Second {
			t.Errorf("%v after %d calls in %s", err, calls, took)
		}
	})
}

func TestGuardStopsWhenTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := &box{call: func(context.Context, string, *boxState, *boxState) error {
			calls++
			return action.ErrUnavailable
		}}
		s, _, _ := session(b, nil)
		in, err := s.Action(t.Context(), "box/look", json.RawMessage(`{"name":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err = in.Check.Check(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, action.ErrUnavailable) || calls != 1 {
			t.Errorf("%v after %d calls", err, calls)
		}
	})
}

func TestGuardSurvivesAPanic(t *testing.T) {
	t.Parallel()
	b := &box{call: func(context.Context, string, *boxState, *boxState) error { panic("nil map") }}
	s, _, _ := session(b, nil)
	in, err := s.Action(t.Context(), "box/look", json.RawMessage(`{"name":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = in.Check.Check(t.Context())
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.Internal || !strings.Contains(f.Detail, "nil map") || strings.Contains(f.Detail, "goroutine") {
		t.Errorf("got %v", err)
	}
}

func TestTypedStates(t *testing.T) {
	t.Parallel()
	type pair struct{ from, to *boxState }
	var got []pair
	b := &box{call: func(_ context.Context, what string, from, to *boxState) error {
		if what == "apply" {
			got = append(got, pair{from, to})
		}
		return nil
	}}
	c := driver.Bare[boxState](boxChange{b, "a"}).Change
	none, err := c.Observe(t.Context())
	if err != nil || !none.IsZero() {
		t.Fatalf("no target: %+v, %v", none, err)
	}
	made, err := c.Propose(none)
	if err != nil || made.Version != 1 || string(made.Fields) != `{"value":"made"}` {
		t.Fatalf("proposed from nothing: %+v, %v", made, err)
	}
	gone, err := c.Propose(made)
	if err != nil || !gone.IsZero() {
		t.Fatalf("proposed to nothing: %+v, %v", gone, err)
	}
	for _, p := range [][2]action.State{{none, made}, {made, none}} {
		if err := c.Apply(t.Context(), p[0], p[1]); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || got[0].from != nil || got[0].to.Value != "made" || got[1].from.Value != "made" || got[1].to != nil {
		t.Errorf("applied %+v", got)
	}
	for name, s := range map[string]action.State{
		"newer":            {Version: 2, Fields: json.RawMessage(`{"value":"x"}`)},
		"a field not ours": {Version: 1, Fields: json.RawMessage(`{"value":"x","more":1}`)},
		"broken":           {Version: 1, Fields: json.RawMessage(`{`)},
	} {
		if err := c.Apply(t.Context(), s, made); err == nil || !strings.Contains(err.Error(), "noren") && name != "broken" {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Apply(ctx, none, made); !errors.Is(err, context.Canceled) || len(got) != 2 {
		t.Errorf("after the context was done: %v, %d calls", err, len(got))
	}
}
