package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // checkpoints in SQLite

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

const (
	// journalVersion names the format of checkpoints. It is no hash of the
	// binary: an upgraded noren carries older runs on.
	journalVersion = "journal-1"
	// atOnce bounds the steps under way at a time.
	atOnce = 16
	// pumpEvery is how often the executor looks for runs that others created.
	pumpEvery = 200 * time.Millisecond
	// maxRecoveries bounds nothing in practice: a run is carried on as often
	// as the process dies.
	maxRecoveries = 1 << 20
	// unwind bounds how long Close waits for calls under way to notice.
	unwind = 5 * time.Second
)

// ErrBusy means that another process executes the runs of this directory.
var ErrBusy = errors.New("another noren executes the runs of this state directory")

// Options are what an engine needs. All but Hook are required.
type Options struct {
	Store    *store.Store
	Registry *driver.Registry
	Dir      string // the state directory
	Now      func() time.Time
	// Hook is called at every recorded point of a run, named. Tests kill the
	// process there.
	Hook func(point string)
}

// An Engine executes the runs of one state directory.
type Engine struct {
	store    *store.Store
	registry *driver.Registry
	now      func() time.Time
	hook     func(string)

	lock  *store.FileLock
	ctx   dbos.Context
	slots chan struct{}

	mu       sync.Mutex
	active   map[string]bool
	sessions map[string]*driver.Session
	failures map[string]error

	stop context.CancelFunc
	done chan struct{}
}

// Open becomes the executor of the state directory and carries on the runs
// that a process before it left unfinished. If another process is the
// executor it returns ErrBusy. Cancelling ctx does not stop runs under way:
// a person's wish to stop is a signal, and the death of the process is
// survived.
func Open(ctx context.Context, o Options) (*Engine, error) {
	lock, err := tryLock(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{store: o.Store, registry: o.Registry, now: o.Now, hook: o.Hook, lock: lock,
		slots: make(chan struct{}, atOnce), active: map[string]bool{}, failures: map[string]error{},
		sessions: map[string]*driver.Session{}, done: make(chan struct{})}
	if e.hook == nil {
		e.hook = func(string) {}
	}
	if err := e.launch(context.WithoutCancel(ctx)); err != nil {
		return nil, errors.Join(&fault.Fault{Code: fault.Unavailable, Summary: "state file cannot be used", Err: err,
			Detail: fmt.Sprintf("%s: %v. Nothing was changed by this command; a run that was begun stays recorded.", o.Store.Path(), err),
			Try:    []string{"df -h " + o.Dir, "run the same command again: it carries on"}}, lock.Release())
	}
	return e, nil
}

func (e *Engine) launch(ctx context.Context) error {
	var err error
	db := e.store.OpenCheckpoints()
	e.ctx, err = dbos.NewContext(ctx, dbos.Config{
		AppName: "noren", SQLiteSystemDB: db, ApplicationVersion: journalVersion, ExecutorID: "local",
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return fmt.Errorf("checkpoints: %w", errors.Join(err, db.Close()))
	}
	dbos.RegisterWorkflow(e.ctx, e.execute, dbos.WithWorkflowName("run"), dbos.WithMaxRecoveryAttempts(maxRecoveries))
	if err := dbos.Launch(e.ctx); err != nil {
		return fmt.Errorf("checkpoints: %w", err)
	}
	pumping, stop := context.WithCancel(ctx)
	e.stop = stop
	go e.pump(pumping)
	return nil
}

// Close stops looking for new runs and gives up the executor's place. Runs
// still under way are left as a crash would leave them, to be carried on by
// the next executor: their calls are cancelled, and what those answer is not
// recorded. If a call does not return, the lock stays until the process ends,
// so that no other executor writes beside it.
func (e *Engine) Close() error {
	e.stop()
	<-e.done
	if err := dbos.Shutdown(e.ctx, unwind); err != nil {
		return fmt.Errorf("runs under way: %w", err)
	}
	return e.lock.Release()
}

// Busy tells whether a run is under way.
func (e *Engine) Busy() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.active) > 0
}

// Failure returns the error that keeps the engine from going on with a run,
// such as a full disk, or nil.
func (e *Engine) Failure(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failures[id]
}

// pump starts every unfinished run that is not under way, at once and then
// again and again: the store is where other processes leave theirs.
func (e *Engine) pump(ctx context.Context) {
	defer close(e.done)
	tick := time.NewTicker(pumpEvery)
	defer tick.Stop()
	for {
		ids, err := e.store.Unfinished(ctx)
		if err == nil {
			for _, id := range ids {
				e.start(id)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// start begins or rejoins a run. A workflow whose process died is taken up by
// the library; one that ended in an error, such as a full disk, is begun anew
// under the next number: receipts keep that safe.
func (e *Engine) start(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active[id] || e.failures[id] != nil {
		return
	}
	attempts, err := dbos.ListWorkflows(e.ctx, dbos.WithFilterWorkflowIDPrefix(id+"/"))
	if err != nil {
		e.failures[id] = e.withLeft(id, fmt.Errorf("run %s: checkpoints: %w", id, err))
		return
	}
	handle, err := e.handle(id, attempts)
	if err != nil {
		e.failures[id] = e.withLeft(id, fmt.Errorf("run %s: %w", id, err))
		return
	}
	e.active[id] = true
	go func() {
		_, err := handle.GetResult()
		if err != nil {
			err = e.withLeft(id, err)
		}
		e.mu.Lock()
		delete(e.active, id)
		delete(e.sessions, id)
		if err != nil {
			e.failures[id] = err
		}
		e.mu.Unlock()
		e.hook("left " + id)
	}()
}

// withLeft says, with the error that keeps the engine from going on with a
// run, what the run has changed so far.
func (e *Engine) withLeft(id string, err error) error {
	if known := (*fault.Fault)(nil); !errors.As(err, &known) {
		err = e.store.Explain(err) // the workflow library says what its database said
	}
	f := *fault.Of(err)[0]
	f.Err, f.Left = err, "unknown: the records cannot be read"
	if r, err := e.store.Run(context.WithoutCancel(e.ctx), id); err == nil {
		f.Left = changedNow(r)
	}
	if len(f.Try) == 0 {
		f.Try = []string{"noren resume " + id}
	}
	return &f
}

func (e *Engine) handle(id string, attempts []dbos.WorkflowStatus) (dbos.WorkflowHandle[run.Status], error) {
	for _, a := range attempts {
		switch a.Status {
		case dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued:
			return dbos.RetrieveWorkflow[run.Status](e.ctx, a.ID)
		}
	}
	return dbos.RunWorkflow(e.ctx, e.execute, id, dbos.WithWorkflowID(fmt.Sprintf("%s/%d", id, len(attempts)+1)))
}

// session returns the drivers of a plan's environment. Sessions are shared by
// the steps of a run, so that connections are. They end when the run does, or
// when a person says retry: a connection that failed is made anew.
func (e *Engine) session(id string, p *plan.Plan) *driver.Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[id]
	if s == nil {
		s = e.registry.OpenClusters(driver.Env{Name: p.Environment.Name, Now: e.now}, p.Environment.Drivers, p.Environment.Clusters)
		e.sessions[id] = s
	}
	return s
}

func (e *Engine) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, id)
}
