// Package argotest holds a FAKE of Argo CD's application controller for tests.
//
// No part of Argo CD runs here, and nothing here proves that Argo CD behaves as
// the fake does: it imitates, on real Application objects of a real API server,
// what noren depends on, as read in the sources of Argo CD 3.5
// (controller/appcontroller.go). What it imitates:
//
//   - a refresh annotation makes it compare; status and the annotation's
//     removal come in one write;
//   - automated sync going from off to on makes it compare, unless Deaf;
//   - automated sync begins an operation only when OutOfSync, when no other one
//     is there, and not for a revision that was synced already, unless selfHeal
//     is on: what was edited meanwhile then stays;
//   - an operation runs, ends in status.operationState and leaves the top level;
//     while the annotation HoldAnnotation is there it stays Running, and phase
//     Terminating ends it;
//   - skip-reconcile stops all of that.
//
// What it does not: projects, sync windows, hooks, waves, prune, retries,
// several sources, health of resources, timed refreshes.
package argotest

import (
	"context"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	"k8s.io/client-go/util/workqueue"
)

// Annotations that Argo CD knows, and one of the fake's own.
const (
	RefreshAnnotation = "argocd.argoproj.io/refresh"
	SkipAnnotation    = "argocd.argoproj.io/skip-reconcile"
	// HoldAnnotation on an Application keeps its operations in phase Running.
	HoldAnnotation = "argotest.noren.dev/hold"
)

// Applications is the resource that the controller works on.
var Applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}

// A Comparison is what comparing an Application with Git gave.
type Comparison struct {
	Revision string // Git's
	Synced   bool
	Health   string // "Healthy" if empty
}

// A Repository stands for Git, and for what Argo CD does with it.
type Repository interface {
	// Compare compares what is live with what Git says.
	Compare(ctx context.Context, app *unstructured.Unstructured) (Comparison, error)
	// Sync makes what is live as Git says. The operation fails with its error.
	Sync(ctx context.Context, app *unstructured.Unstructured) error
}

// A Controller is the fake. Set its fields before Run.
type Controller struct {
	Client     dynamic.Interface
	Repository Repository
	// Namespace to watch, all if empty.
	Namespace string
	// Managed are the resources whose changes make it compare, as Argo CD's
	// watches on what it manages do.
	Managed []schema.GroupVersionResource
	// Parents makes changed specs of Applications count as changes of what is
	// managed, as they are for a parent Application.
	Parents bool
	// Deaf makes it miss everything but refresh annotations and operations, as
	// a controller does that was restarted at the wrong moment.
	Deaf bool

	queue   workqueue.TypedInterface[string]
	stale   map[string]bool       // compare at the next look
	was     map[string]automation // automated sync when last seen
	watched cache.SharedIndexInformer
}

// Run works until ctx is done. It returns an error if the watches could not
// be started.
func (c *Controller) Run(ctx context.Context) error {
	c.queue = workqueue.NewTyped[string]()
	c.stale, c.was = map[string]bool{}, map[string]automation{}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.Client, 0, c.Namespace, nil)
	c.watched = factory.ForResource(Applications).Informer()
	if err := onEvent(c.watched, func(key string) { c.queue.Add(key) }); err != nil {
		return err
	}
	if c.Parents {
		changed := func(before, after any) {
			if !equality.Semantic.DeepEqual(before.(*unstructured.Unstructured).Object["spec"], after.(*unstructured.Unstructured).Object["spec"]) {
				c.queue.Add("")
			}
		}
		if _, err := c.watched.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: changed}); err != nil {
			return err
		}
	}
	for _, gvr := range c.Managed {
		if err := onEvent(factory.ForResource(gvr).Informer(), func(string) { c.queue.Add("") }); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	for gvr, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok && ctx.Err() == nil {
			return fmt.Errorf("argotest: watch %s: not synced", gvr.Resource)
		}
	}
	stop := context.AfterFunc(ctx, c.queue.ShutDown)
	defer stop()
	return c.work(ctx)
}

func onEvent(informer cache.SharedIndexInformer, seen func(key string)) error {
	add := func(obj any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
			seen(key)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, DeleteFunc: add, UpdateFunc: func(_, obj any) { add(obj) },
	})
	return err
}

// work takes Applications from the queue, one at a time. The empty key stands
// for a change of something managed: which Application's is not known.
func (c *Controller) work(ctx context.Context) error {
	for {
		key, down := c.queue.Get()
		if down {
			return nil
		}
		var err error
		if key == "" {
			for _, k := range c.watched.GetStore().ListKeys() {
				if !c.Deaf {
					c.stale[k] = true
				}
				c.queue.Add(k)
			}
		} else {
			err = c.look(ctx, key)
		}
		c.queue.Done(key)
		if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("argotest: Application %s: %w", key, err)
		}
	}
}

// look does what is to be done about one Application.
func (c *Controller) look(ctx context.Context, key string) error {
	app, err := c.get(ctx, key)
	if err != nil || app.GetAnnotations()[SkipAnnotation] == "true" {
		return err
	}
	if op, ok := field(app, "operation"); ok && op != nil {
		return c.operate(ctx, key, app)
	}
	now := automationOf(app)
	before, known := c.was[key]
	c.was[key] = now
	switchedOn := known && (now.on && !before.on || now.selfHeal && !before.selfHeal)
	_, asked := app.GetAnnotations()[RefreshAnnotation]
	_, compared := field(app, "status", "reconciledAt")
	if !asked && compared && !c.stale[key] && (c.Deaf || !switchedOn) {
		return nil
	}
	delete(c.stale, key)
	return c.refresh(ctx, key, app)
}

// refresh compares, reports, and lets automated sync decide.
func (c *Controller) refresh(ctx context.Context, key string, app *unstructured.Unstructured) error {
	found, err := c.Repository.Compare(ctx, app)
	if err != nil {
		return err
	}
	return c.update(ctx, key, func(app *unstructured.Unstructured) {
		status := "OutOfSync"
		if found.Synced {
			status = "Synced"
		}
		health := found.Health
		if health == "" {
			health = "Healthy"
		}
		set(app, now(), "status", "reconciledAt")
		set(app, map[string]any{"status": status, "revision": found.Revision}, "status", "sync")
		set(app, map[string]any{"status": health}, "status", "health")
		annotations := maps.Clone(app.GetAnnotations())
		delete(annotations, RefreshAnnotation)
		app.SetAnnotations(annotations)
		autoSync(app, found)
	})
}

// operate carries an operation one step further.
func (c *Controller) operate(ctx context.Context, key string, app *unstructured.Unstructured) error {
	phase, _ := field(app, "status", "operationState", "phase")
	if phase != "Running" && phase != "Terminating" {
		return c.update(ctx, key, func(app *unstructured.Unstructured) {
			op, _ := field(app, "operation")
			set(app, map[string]any{"operation": op, "phase": "Running", "startedAt": now(), "message": "waiting for completion"}, "status", "operationState")
		})
	}
	if _, held := app.GetAnnotations()[HoldAnnotation]; held && phase == "Running" {
		return nil
	}
	end, message := "Succeeded", "successfully synced"
	if phase == "Terminating" {
		end, message = "Failed", "Operation terminated"
	} else if err := c.Repository.Sync(ctx, app); err != nil {
		end, message = "Failed", err.Error()
	}
	found, err := c.Repository.Compare(ctx, app)
	if err != nil {
		return err
	}
	c.stale[key] = true // Argo CD compares again after each operation, deaf or not
	return c.update(ctx, key, func(app *unstructured.Unstructured) {
		unstructured.RemoveNestedField(app.Object, "operation")
		set(app, end, "status", "operationState", "phase")
		set(app, message, "status", "operationState", "message")
		set(app, now(), "status", "operationState", "finishedAt")
		set(app, map[string]any{"revision": found.Revision}, "status", "operationState", "syncResult")
	})
}

// autoSync begins an operation where automated sync would.
func autoSync(app *unstructured.Unstructured, found Comparison) {
	how := automationOf(app)
	if op, ok := field(app, "operation"); !how.on || found.Synced || ok && op != nil {
		return
	}
	tried, _ := field(app, "status", "operationState", "syncResult", "revision")
	phase, _ := field(app, "status", "operationState", "phase")
	if tried == found.Revision && (phase != "Succeeded" || !how.selfHeal) {
		return
	}
	set(app, map[string]any{
		"initiatedBy": map[string]any{"automated": true},
		"retry":       map[string]any{"limit": int64(5)},
		"sync":        map[string]any{"revision": found.Revision, "prune": how.prune},
	}, "operation")
	unstructured.RemoveNestedField(app.Object, "status", "operationState")
}

type automation struct{ on, selfHeal, prune bool }

func automationOf(app *unstructured.Unstructured) automation {
	fields, ok, _ := unstructured.NestedMap(app.Object, "spec", "syncPolicy", "automated")
	if !ok || fields["enabled"] == false {
		return automation{}
	}
	return automation{on: true, selfHeal: fields["selfHeal"] == true, prune: fields["prune"] == true}
}

func (c *Controller) get(ctx context.Context, key string) (*unstructured.Unstructured, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil, err
	}
	return c.Client.Resource(Applications).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
}

// update changes the Application as it is now. Someone who writes at the same
// moment makes it begin anew.
func (c *Controller) update(ctx context.Context, key string, change func(app *unstructured.Unstructured)) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		app, err := c.get(ctx, key)
		if err != nil {
			return err
		}
		change(app)
		_, err = c.Client.Resource(Applications).Namespace(app.GetNamespace()).Update(ctx, app, metav1.UpdateOptions{})
		return err
	})
}

func field(app *unstructured.Unstructured, path ...string) (any, bool) {
	v, ok, _ := unstructured.NestedFieldNoCopy(app.Object, path...)
	return v, ok
}

func set(app *unstructured.Unstructured, v any, path ...string) {
	if err := unstructured.SetNestedField(app.Object, v, path...); err != nil {
		panic(err) // a path through something that is no object: a mistake of the fake's
	}
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }
