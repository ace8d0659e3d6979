package kubeclient

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
)

// Lately remembers the last answer of a read that many ask for side by side. It
// gives an answer only to those for whom it is new enough: the read was begun at
// or after the Since of their batch. It never gives an error twice.
type Lately[T any] struct {
	mu   sync.Mutex
	last *reading[T]
}

type reading[T any] struct {
	began   time.Time
	waiting int // for it, guarded by the mutex of its Lately
	cancel  context.CancelFunc
	done    chan struct{}
	val     T
	err     error
}

// listPatience bounds a read that many wait for. It may be longer than the
// patience of each of them: who tries again waits for the same read.
const listPatience = time.Minute

// Do returns the answer of a read that is new enough for the batch of ctx, and
// begins one if there is none. The read goes on when one of those who wait for it
// gives up, and ends when the last is told to stop.
func (l *Lately[T]) Do(ctx context.Context, read func(context.Context) (T, error)) (T, error) {
	since := driver.BatchOf(ctx).Since
	l.mu.Lock()
	r := l.last
	if r == nil || r.began.Before(since) {
		r = &reading[T]{began: time.Now(), done: make(chan struct{})}
		var shared context.Context
		shared, r.cancel = context.WithTimeout(context.WithoutCancel(ctx), listPatience)
		l.last = r
		go l.read(shared, r, read)
	}
	r.waiting++
	l.mu.Unlock()
	select {
	case <-r.done:
		return r.val, r.err
	case <-ctx.Done():
		l.leave(ctx, r)
		var none T
		return none, ctx.Err()
	}
}

func (l *Lately[T]) read(ctx context.Context, r *reading[T], read func(context.Context) (T, error)) {
	defer close(r.done)
	defer r.cancel()
	defer func() {
		if p := recover(); p != nil { // it fails those who wait, not the process
			r.err = fmt.Errorf("this is a bug in noren: %v\n%s", p, debug.Stack())
		}
		if r.err != nil {
			l.forget(r)
		}
	}()
	r.val, r.err = read(ctx)
}

// leave takes ctx out of those who wait.
func (l *Lately[T]) leave(ctx context.Context, r *reading[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.waiting--; r.waiting > 0 || !errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	r.cancel()
	if l.last == r {
		l.last = nil
	}
}

func (l *Lately[T]) forget(r *reading[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == r {
		l.last = nil
	}
}

// tooMany is how many times as many objects as are asked for a list may hold:
// beyond that it costs the API server more than to read them one by one.
const tooMany = 10

// errCostly means that a list is given up for reads of single objects.
var errCostly = errors.New("the list holds far more than is asked for")

// Objects reads objects of one kind by their names, and lists their namespace
// where a batch asks for many (see [driver.Batch]). Where it may not list, or
// the namespace holds far more objects than are asked for, it reads one by one.
type Objects[T any] struct {
	// One reads one object, nil if it does not exist.
	One func(ctx context.Context, namespace, name string) (*T, error)
	// Page lists some objects of a namespace, by name. Its error is as the
	// API server gave it.
	Page func(ctx context.Context, namespace string, opts metav1.ListOptions) (map[string]*T, metav1.ListMeta, error)

	mu     sync.Mutex
	lists  map[string]*Lately[map[string]*T] // by namespace
	single map[string]bool                   // namespaces that are not listed
}

// PageSize is how many objects a list asks for at a time.
const PageSize = 500

// Get returns an object, nil if it does not exist. Objects are shared: whoever
// gets one does not change it.
func (o *Objects[T]) Get(ctx context.Context, namespace, name string) (*T, error) {
	batch := driver.BatchOf(ctx)
	if !batch.Many() {
		return o.One(ctx, namespace, name)
	}
	o.mu.Lock()
	if o.lists == nil {
		o.lists, o.single = map[string]*Lately[map[string]*T]{}, map[string]bool{}
	}
	if o.single[namespace] {
		o.mu.Unlock()
		return o.One(ctx, namespace, name)
	}
	list := o.lists[namespace]
	if list == nil {
		list = &Lately[map[string]*T]{}
		o.lists[namespace] = list
	}
	o.mu.Unlock()
	all, err := list.Do(ctx, func(ctx context.Context) (map[string]*T, error) { return o.all(ctx, namespace, batch.Size) })
	switch {
	case err == nil:
		return all[name], nil
	case ctx.Err() != nil:
		return nil, err
	case apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || errors.Is(err, errCostly):
		o.mu.Lock()
		o.single[namespace] = true
		o.mu.Unlock()
	}
	return o.One(ctx, namespace, name) // whatever is wrong, it is said of the object that is asked for
}

func (o *Objects[T]) all(ctx context.Context, namespace string, size int) (map[string]*T, error) {
	all := map[string]*T{}
	opts := metav1.ListOptions{Limit: PageSize}
	for {
		page, meta, err := o.Page(ctx, namespace, opts)
		if err != nil {
			return nil, err
		}
		for name, obj := range page {
			all[name] = obj
		}
		if opts.Continue = meta.Continue; opts.Continue == "" {
			return all, nil
		}
		if rest := meta.RemainingItemCount; rest != nil && int64(len(all))+*rest > int64(tooMany*size) {
			return nil, errCostly
		}
	}
}
