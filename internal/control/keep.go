package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/engine"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

// A Keeper is the process that minds the closings of a state directory.
type Keeper struct {
	Actor string    `json:"by"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// Whoever asks for the keeper keeps its lock for a moment, so that one try is
// not enough to become it.
const (
	keeperTries = 10
	keeperPause = 50 * time.Millisecond
)

func keeperPath(dir string) string { return filepath.Join(dir, "keeper") }

// Keep makes this process the keeper of the state directory until it calls
// leave or dies. There is one: of a second, the error has code Locked.
func (c *Control) Keep(ctx context.Context) (leave func() error, err error) {
	for try := 1; ; try++ {
		l, err := store.TryLock(keeperPath(c.StateDir))
		switch {
		case err == nil:
			note, err := json.Marshal(Keeper{c.Actor, os.Getpid(), c.Now()})
			if err == nil {
				err = l.Note(note)
			}
			if err != nil {
				return nil, errors.Join(err, l.Release())
			}
			return l.Release, nil
		case !errors.Is(err, store.ErrHeld):
			return nil, fmt.Errorf("keeper's %w", err)
		case try == keeperTries:
			return nil, c.keptBy(ctx)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(keeperPause):
		}
	}
}

func (c *Control) keptBy(ctx context.Context) error {
	who := "Another process"
	if k, err := c.Keeper(ctx); err == nil && k != nil && k.Actor != "" {
		who = fmt.Sprintf("Process %d of %s", k.PID, k.Actor)
	}
	return &fault.Fault{Code: fault.Locked, Summary: "a keeper is at work already",
		Detail: fmt.Sprintf("%s minds the closings of %s. Two would remind twice.", who, c.StateDir), Try: []string{"noren status", "noren keep --dry-run"}}
}

// Keeper returns the keeper at work, nil if there is none.
func (c *Control) Keeper(context.Context) (*Keeper, error) {
	held, err := store.Held(keeperPath(c.StateDir))
	if err != nil || !held {
		return nil, err
	}
	raw, err := os.ReadFile(keeperPath(c.StateDir))
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	var k Keeper
	_ = json.Unmarshal(raw, &k) // it may be writing its name just now
	return &k, nil
}

// Remind records on a closing that a person is told of it.
func (c *Control) Remind(ctx context.Context, closing string, m run.Reminder) error {
	_, err := c.store.Append(ctx, run.Event{Run: closing, Type: run.Reminded, Data: run.Data{Actor: c.Actor, Topic: m.Topic, Until: m.Until,
		Offset: m.Offset, Services: m.Services, Text: m.Text, Why: m.Why}})
	if err != nil {
		return err
	}
	return c.Tell(ctx, closing)
}

// cutOffAfter is how long nothing has happened in a run that nobody executes
// before it counts as cut off: whoever creates a run executes it a moment later.
const cutOffAfter = 10 * time.Second

// CutOff lists the runs that have not ended and that no process executes.
func (c *Control) CutOff(ctx context.Context) ([]*run.Run, error) {
	runs, err := c.Unfinished(ctx)
	if err != nil || len(runs) == 0 || c.engine != nil {
		return nil, err
	}
	executed, err := engine.Executed(c.StateDir)
	if err != nil || executed {
		return nil, err
	}
	now := c.Now()
	return slices.DeleteFunc(runs, func(r *run.Run) bool {
		age := now.Sub(r.LastAt)
		return age >= 0 && age < cutOffAfter
	}), nil
}

// Execute makes sure that some process executes runs, this one if there is no
// other. What keeps this one from going on with a run is its error.
func (c *Control) Execute(ctx context.Context, id string) error {
	if err := c.Tell(ctx, id); err != nil {
		return err
	}
	return c.execute(ctx, id)
}

// Rest lets go of the place of the process that executes, if nothing is under
// way: whoever starts a run then executes it with rights of its own. A run that
// the engine cannot go on with is left to the next one.
func (c *Control) Rest(ctx context.Context) error {
	if c.engine == nil || c.engine.Busy() {
		return nil
	}
	ids, err := c.store.Unfinished(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if c.engine.Failure(id) == nil {
			return nil
		}
	}
	e := c.engine
	c.engine = nil
	return e.Close()
}

// Attempts lists the openings of a closing, oldest first.
func (c *Control) Attempts(ctx context.Context, closing string) ([]*run.Run, error) {
	ids, err := c.store.On(ctx, closing, plan.Open)
	if err != nil {
		return nil, err
	}
	return c.runs(ctx, ids)
}

// Ready asks once what an opening asks before it writes anything: would the
// applications answer? It returns the faults of the checks that do not pass. An
// opening that has workloads to start first asks only then, and is not asked
// here.
func (c *Control) Ready(ctx context.Context, p *plan.Plan) error {
	session := c.session(p.Environment)
	for _, stage := range p.Stages {
		if stage.Name == plan.StageStart {
			return nil
		}
		if stage.Name != plan.StageReady {
			continue
		}
		err := each(ctx, stage.Steps, func(ctx context.Context, s plan.Step) error {
			in, err := session.At(s.Cluster).Action(ctx, s.Action, s.Params)
			if err != nil {
				return err
			}
			v, err := in.Check.Check(ctx)
			if err != nil || v.OK {
				return err
			}
			detail := strings.Join(append([]string{v.Summary}, v.Findings...), ": ")
			return &fault.Fault{Code: fault.CheckFailed, Summary: "not ready", Detail: detail, Try: v.Try}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
