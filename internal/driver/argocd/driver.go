// Package argocd pauses Argo CD's automated sync of an Application while noren
// edits what it keeps, and lets it go on afterwards exactly as it was.
//
// It speaks with the API server of Kubernetes, where Argo CD keeps its
// Applications, and never with Argo CD's own server: no further address,
// account or token is needed.
package argocd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// name is the driver's, and the system of its permissions.
const name = "argocd"

// Driver returns the driver "argocd".
func Driver() *driver.Driver {
	return driver.New(name, "pauses Argo CD's automated sync and lets it go on as it was", connect,
		driver.Inherits[*conn]("kube", "kubeconfig", "context"),
		driver.Changes("argocd/app.pause", "automated sync of an Application is off, its settings are kept", openPause),
		driver.Changes("argocd/appset.pause", "an ApplicationSet leaves the sync policy of one of its Applications alone", openIgnoring),
		driver.Checks("argocd/app.idle", "no sync of the Application is running or asked for", openIdle),
		driver.Checks("argocd/app.compared", "Argo CD has compared the Application with Git", openCompared),
		driver.Checks("argocd/app.settled", "the Application is in sync with Git again, and healthy", openSettled),
		driver.Effects("argocd/app.refresh", "asks Argo CD to compare the Application with Git", openRefresh),
		driver.Effects("argocd/app.sync", "asks Argo CD for the sync that it does not begin by itself", openSync),
		driver.Owns(ownership()),
		driver.FindsTraces(findTraces),
		driver.AsksPermission(func(ctx context.Context, c *conn, need []action.Permission) ([]driver.Refusal, error) {
			return c.client.Refusals(ctx, need)
		}),
		driver.Identifies(func(ctx context.Context, c *conn) (string, error) { return c.client.User(ctx) }),
	)
}

// A conn is a connection to the cluster that Argo CD runs in.
type conn struct {
	client    *kubeclient.Client
	namespace string // Argo CD's own
	env       string
	enabled   kubeclient.Once[bool] // whether the CRD knows automated.enabled
	objects   kubeclient.Objects[application]
}

func connect(ctx context.Context, cfg Config, env driver.Env) (*conn, error) {
	client, err := kubeclient.New(kubeclient.Config{Kubeconfig: cfg.Kubeconfig, Context: cfg.Context})
	if err != nil {
		return nil, err
	}
	return newConn(ctx, client, cfg.namespace(), env), nil
}

// newConn reads the CRD's schema, so that proposals do no I/O. Where that
// fails now, the first observation tries again and says what is wrong.
func newConn(ctx context.Context, client *kubeclient.Client, namespace string, env driver.Env) *conn {
	c := &conn{client: client, namespace: namespace, env: env.Name}
	c.objects.One, c.objects.Page = c.read, c.page
	_ = c.learn(ctx)
	return c
}

// learn reads whether the CRD knows automated.enabled, once. A schema that is
// not there or may not be read is no error: removing automated, which is
// proposed then, works with every version of Argo CD.
func (c *conn) learn(ctx context.Context) error {
	_, err := c.enabled.Do(func() (bool, error) {
		return knowsEnabled(ctx, c.client)
	})
	if err = kubeclient.Classify(err, "read the schema of Application"); err != nil && (errors.Is(err, action.ErrUnavailable) || ctx.Err() != nil) {
		return err
	}
	return nil
}

func (c *conn) enabledIsKnown() bool {
	known, err := c.enabled.Do(func() (bool, error) { return false, errors.New("not read") })
	return err == nil && known
}

func (c *conn) target(ref Ref) target { return target{c, ref.in(c.namespace)} }

// A target is one Application, and the part that all actions share.
type target struct {
	conn *conn
	ref  Ref
}

// Target names the Application.
func (t target) Target() string {
	return fmt.Sprintf("argocd:%s/%s/application/%s", t.conn.env, t.ref.Namespace, t.ref.Name)
}

func (t target) what() string { return "Application " + t.ref.String() }

func (t target) api() dynamic.ResourceInterface {
	return t.conn.client.Dynamic.Resource(applications).Namespace(t.ref.Namespace)
}

// get reads the Application, nil if it does not exist; in a batch, of a list.
func (t target) get(ctx context.Context) (*application, error) {
	return t.conn.objects.Get(ctx, t.ref.Namespace, t.ref.Name)
}

func (c *conn) read(ctx context.Context, namespace, name string) (*application, error) {
	t := target{c, Ref{Namespace: namespace, Name: name}}
	u, err := t.api().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, "read "+t.what())
	}
	return read(u)
}

func (c *conn) page(ctx context.Context, namespace string, opts metav1.ListOptions) (map[string]*application, metav1.ListMeta, error) {
	list, err := c.client.Dynamic.Resource(applications).Namespace(namespace).List(ctx, opts)
	if err != nil {
		return nil, metav1.ListMeta{}, err
	}
	page := make(map[string]*application, len(list.Items))
	for i := range list.Items {
		a, err := read(&list.Items[i])
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		page[a.Metadata.Name] = a
	}
	return page, metav1.ListMeta{Continue: list.GetContinue(), RemainingItemCount: list.GetRemainingItemCount()}, nil
}

// must reads the Application, which has to exist.
func (t target) must(ctx context.Context) (*application, error) {
	app, err := t.get(ctx)
	if err == nil && app == nil {
		return nil, t.missing(t.elsewhere(ctx)...)
	}
	return app, err
}

// start begins a patch of this very object, not of one made anew under its name.
func (t target) start(app *application) *kubeclient.Patch {
	return (&kubeclient.Patch{}).Test("/metadata/uid", app.Metadata.UID)
}

// write sends the patch and returns what is stored then. Strict validation
// makes the API server refuse fields that the CRD does not know, where it
// would else drop them.
func (t target) write(ctx context.Context, app *application, patch *kubeclient.Patch) (*application, error) {
	body, err := patch.JSON()
	if err != nil {
		return nil, err
	}
	opts := metav1.PatchOptions{FieldManager: kubeclient.FieldManager, FieldValidation: metav1.FieldValidationStrict}
	u, err := t.api().Patch(ctx, app.Metadata.Name, types.JSONPatchType, body, opts)
	if err != nil {
		return nil, t.refused(err)
	}
	return read(u)
}

// refused is why a write was refused. The API server reports an unknown field
// in a JSON Patch like a failed test.
func (t target) refused(err error) error {
	if strings.Contains(err.Error(), `unknown field "spec.syncPolicy.automated.enabled"`) {
		return &fault.Fault{Code: fault.Invalid, Summary: "this Argo CD is older than 3.1",
			Detail: fmt.Sprintf("%s: the installed CRD does not know spec.syncPolicy.automated.enabled, which was to be written. Nothing was written. "+
				"Argo CD was changed since this was planned: plan again.", t.what()), Err: err}
	}
	return kubeclient.Classify(err, "patch "+t.what())
}

func isRefusedPatch(err error) bool { return errors.Is(err, kubeclient.ErrTestFailed) }

// again makes an error that is worth another try of a patch whose test failed
// though what it was about is still the same: someone wrote beside it at the
// same moment.
func again(ctx context.Context, err error) error {
	switch {
	case isRefusedPatch(err) && driver.BatchOf(ctx).Many():
		return fmt.Errorf("%w: %w: %w", action.ErrUnavailable, driver.ErrOutdated, err)
	case isRefusedPatch(err):
		return fmt.Errorf("%w: %w", action.ErrUnavailable, err)
	}
	return err
}

func (t target) needs(why string, verbs ...string) []action.Permission {
	need := make([]action.Permission, len(verbs))
	for i, v := range verbs {
		need[i] = action.Permission{System: name, Verb: v, Resource: resource, Namespace: t.ref.Namespace, Name: t.ref.Name, Why: why}
	}
	return need
}
