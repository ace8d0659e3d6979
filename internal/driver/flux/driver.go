// Package flux suspends Flux's Kustomizations and HelmReleases while noren
// edits what they apply, and lets them go on afterwards exactly as they were.
//
// It speaks with the API server of Kubernetes, where Flux keeps them.
package flux

import (
	"context"
	"encoding/json"
	"fmt"

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
const name = "flux"

// Driver returns the driver "flux".
func Driver() *driver.Driver {
	ks, hr := kustomizations(), helmReleases()
	return driver.New(name, "suspends Flux's Kustomizations and HelmReleases and lets them go on as they were", connect,
		driver.Inherits[*conn]("kube", "kubeconfig", "context"),
		driver.Changes("flux/kustomization.suspend", "a Kustomization is suspended", openSuspend(ks)),
		driver.Changes("flux/helmrelease.suspend", "a HelmRelease is suspended", openSuspend(hr)),
		driver.Checks("flux/kustomization.idle", "the Kustomization is not applying anything", openIdle(ks)),
		driver.Checks("flux/helmrelease.idle", "the HelmRelease is not installing or upgrading anything", openIdle(hr)),
		driver.Checks("flux/kustomization.ready", "the Kustomization has applied what Git says, and is ready", openReady(ks)),
		driver.Checks("flux/helmrelease.ready", "the HelmRelease has looked again, and is ready", openReady(hr)),
		driver.Effects("flux/kustomization.reconcile", "asks Flux to apply the Kustomization now", openReconcile(ks)),
		driver.Effects("flux/helmrelease.reconcile", "asks Flux to look at the HelmRelease now", openReconcile(hr)),
		driver.Owns(ownership()),
		driver.FindsTraces(findTraces),
		driver.AsksPermission(func(ctx context.Context, c *conn, need []action.Permission) ([]driver.Refusal, error) {
			return c.client.Refusals(ctx, need)
		}),
	)
}

// A conn is a connection to the cluster that Flux runs in.
type conn struct {
	client *kubeclient.Client
	env    string
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	client, err := kubeclient.New(kubeclient.Config{Kubeconfig: cfg.Kubeconfig, Context: cfg.Context})
	if err != nil {
		return nil, err
	}
	return &conn{client, env.Name}, nil
}

// A target is one Kustomization or HelmRelease, and the part that all actions
// share.
type target struct {
	conn *conn
	kind kind
	ref  Ref
}

// Target names the object.
func (t target) Target() string {
	return fmt.Sprintf("flux:%s/%s/%s/%s", t.conn.env, t.ref.Namespace, t.kind.word, t.ref.Name)
}

func (t target) what() string { return t.kind.name + " " + t.ref.String() }

func (t target) api() dynamic.ResourceInterface {
	return t.conn.client.Dynamic.Resource(t.kind.resource).Namespace(t.ref.Namespace)
}

// get reads the object, nil if it does not exist.
func (t target) get(ctx context.Context) (*object, error) {
	u, err := t.api().Get(ctx, t.ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, "read "+t.what())
	}
	raw, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	o := &object{}
	if err := json.Unmarshal(raw, o); err != nil {
		return nil, fmt.Errorf("%s is not as Flux 2 writes it: %w", t.what(), err)
	}
	return o, nil
}

// must reads the object, which has to exist.
func (t target) must(ctx context.Context) (*object, error) {
	o, err := t.get(ctx)
	if err == nil && o == nil {
		return nil, t.missing()
	}
	return o, err
}

func (t target) missing() *fault.Fault {
	return &fault.Fault{Code: fault.NotFound, Summary: t.kind.name + " does not exist",
		Detail: fmt.Sprintf("There is no Flux %s %s in namespace %s of environment %s. Flux may run in another cluster than the one it applies to: the section flux takes a kubeconfig and a context of its own.",
			t.kind.name, t.ref.Name, t.ref.Namespace, t.conn.env),
		Try: []string{"kubectl get " + t.kind.resource.Resource + "." + t.kind.resource.Group + " --all-namespaces"}}
}

// start begins a patch of this very object, not of one made anew under its name.
func start(o *object) *kubeclient.Patch {
	return (&kubeclient.Patch{}).Test("/metadata/uid", o.Metadata.UID)
}

// write sends the patch. A patch whose test failed is worth another try: it is
// begun anew from what is there then.
func (t target) write(ctx context.Context, patch *kubeclient.Patch) error {
	body, err := patch.JSON()
	if err != nil {
		return err
	}
	opts := metav1.PatchOptions{FieldManager: kubeclient.FieldManager, FieldValidation: metav1.FieldValidationStrict}
	_, err = t.api().Patch(ctx, t.ref.Name, types.JSONPatchType, body, opts)
	return kubeclient.Classify(err, "patch "+t.what())
}

func (t target) needs(why string, verbs ...string) []action.Permission {
	need := make([]action.Permission, len(verbs))
	for i, v := range verbs {
		need[i] = action.Permission{System: name, Verb: v, Resource: t.kind.resource.Resource + "." + t.kind.resource.Group,
			Namespace: t.ref.Namespace, Name: t.ref.Name, Why: why}
	}
	return need
}
