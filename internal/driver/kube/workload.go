package kube

import (
	"context"
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// WorkloadOptions choose how a workload rests.
type WorkloadOptions struct {
	// Replicas are how many are left while it rests; by default none.
	Replicas int32 `json:"replicas,omitempty"`
}

// Validate says what is wrong.
func (o WorkloadOptions) Validate() error {
	if o.Replicas < 0 {
		return fmt.Errorf("replicas %d is less than none", o.Replicas)
	}
	return nil
}

// A scaled workload rests with fewer replicas.
type scaledWorkload struct {
	conn   *conn
	kind   string // "deployment"
	object object
	rest   int32
}

func opensScaled(kind string) func(*conn, string, WorkloadOptions) (driver.Workload, error) {
	return func(c *conn, name string, o WorkloadOptions) (driver.Workload, error) {
		namespace, object, err := workloadKey(kind, name)
		if err != nil {
			return nil, err
		}
		return &scaledWorkload{c, kind, object.in(namespace), o.Replicas}, nil
	}
}

func openCronJob(c *conn, name string, _ driver.NoOptions) (driver.Workload, error) {
	namespace, object, err := workloadKey("cronjob", name)
	if err != nil {
		return nil, err
	}
	return &cronJob{c, object.in(namespace)}, nil
}

// workloadKey splits the name that the catalog gives.
func workloadKey(kind, key string) (namespace string, o object, err error) {
	namespace, name, err := kubeobject.SplitKey(key)
	if err != nil {
		err = &fault.Fault{Code: fault.Invalid, Summary: "malformed workload name", Detail: fmt.Sprintf("%s/%s %q: %v.", Name, kind, key, err), Err: err}
	}
	return namespace, object{Name: name}, err
}

func (o object) in(namespace string) object {
	o.Namespace = namespace
	return o
}

// Requires implements action.Requirer.
func (w *scaledWorkload) Requires() []action.Permission {
	s, err := openScale(w.conn, ScaleParams{w.kind, w.object.Namespace, w.object.Name, w.rest})
	if err != nil {
		return nil
	}
	return append(s.(*scale).Requires(), action.Permission{System: Name, Verb: "list", Resource: autoscalers().label(), Namespace: w.object.Namespace,
		Why: "see what would scale it back"})
}

// Rest implements driver.Workload. What scales the workload by itself comes
// first: KEDA does the scaling when it is paused; an autoscaler rests by itself
// while there are no replicas, and is pinned where some are left.
func (w *scaledWorkload) Rest(ctx context.Context) (*driver.Resting, error) {
	params := ScaleParams{w.kind, w.object.Namespace, w.object.Name, w.rest}
	t, err := openScale(w.conn, params)
	if err != nil {
		return nil, err
	}
	s := t.(*scale)
	u, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, s.missing()
	}
	r := &driver.Resting{Target: s.Target(), Owner: restingOwner(u, w.kind)}
	if here, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); here == int64(w.rest) {
		r.Notes = append(r.Notes, driver.Note{Text: fmt.Sprintf("%s has %d replicas already and stays so, also after opening.", s.name(), here)})
	}
	keda, err := w.scaledObject(ctx)
	if err != nil {
		return nil, err
	}
	if keda != "" {
		r.Calls = []driver.Call{{Action: ActionPauseKEDA, Params: PauseParams{w.object.Namespace, keda, w.kind, w.object.Name, w.rest}}}
		return r, nil
	}
	scalers, err := w.autoscalers(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range scalers {
		if w.rest == 0 {
			r.Notes = append(r.Notes, driver.Note{Text: fmt.Sprintf("%s %s/%s rests by itself while %s has no replicas, and scales it again afterwards.",
				autoscalers().word, w.object.Namespace, name, s.name())})
			continue
		}
		r.Calls = append(r.Calls, driver.Call{Action: ActionPin, Params: PinParams{w.object.Namespace, name, w.rest}})
	}
	r.Calls = append(r.Calls, driver.Call{Action: ActionScale, Params: params})
	return r, nil
}

// scaledObject is the name of KEDA's object that scales the workload, "" if
// there is none. Source: https://keda.sh/docs/latest/reference/scaledobject-spec/
// (kind is Deployment by default).
func (w *scaledWorkload) scaledObject(ctx context.Context) (string, error) {
	list, err := w.conn.client.Dynamic.Resource(scaledObjects().gvr).Namespace(w.object.Namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) { // no KEDA, or none of ours to see
		return "", nil
	}
	if err != nil {
		return "", kubeclient.Classify(err, "list the ScaledObjects of namespace "+w.object.Namespace)
	}
	for _, u := range list.Items {
		name, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "name")
		kind, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "kind")
		if name == w.object.Name && (kind == kindWord(w.kind) || kind == "" && w.kind == "deployment") {
			return u.GetName(), nil
		}
	}
	return "", nil
}

func (w *scaledWorkload) autoscalers(ctx context.Context) ([]string, error) {
	list, err := w.conn.client.Typed.AutoscalingV2().HorizontalPodAutoscalers(w.object.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, kubeclient.Classify(err, "list the HorizontalPodAutoscalers of namespace "+w.object.Namespace)
	}
	var names []string
	for _, h := range list.Items {
		if ref := h.Spec.ScaleTargetRef; ref.Name == w.object.Name && ref.Kind == kindWord(w.kind) && !scaledByKEDA(h) {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// scaledByKEDA tells whether KEDA made the autoscaler.
func scaledByKEDA(h autoscalingv2.HorizontalPodAutoscaler) bool {
	return slices.ContainsFunc(h.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind == "ScaledObject" })
}

// restingOwner is who would revert a change of the object.
func restingOwner(u *unstructured.Unstructured, word string) *driver.Owner {
	return gitops.OwnerOf(u, kindWord(word))
}

// kindWord is the kind of an object as the API writes it.
func kindWord(word string) string {
	return map[string]string{"deployment": "Deployment", "statefulset": "StatefulSet", "rollout": "Rollout", "cronjob": "CronJob"}[word]
}

// A cronJob rests by beginning no more Jobs.
type cronJob struct {
	conn   *conn
	object object
}

func (w *cronJob) change() *suspend {
	t, _ := openSuspend(w.conn, SuspendParams{w.object}) // it has nothing to refuse
	return t.(*suspend)
}

// Requires implements action.Requirer.
func (w *cronJob) Requires() []action.Permission { return w.change().Requires() }

// Rest implements driver.Workload.
func (w *cronJob) Rest(ctx context.Context) (*driver.Resting, error) {
	s := w.change()
	u, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, s.missing()
	}
	r := &driver.Resting{Target: s.Target(), Owner: restingOwner(u, "cronjob"), Calls: []driver.Call{{Action: ActionSuspendJobs, Params: SuspendParams{w.object}}}}
	if already, _, _ := unstructured.NestedBool(u.Object, "spec", "suspend"); already {
		r.Notes = append(r.Notes, driver.Note{Text: s.name() + " is suspended already and stays so, also after opening."})
	}
	if active, _, _ := unstructured.NestedSlice(u.Object, "status", "active"); len(active) > 0 {
		r.Notes = append(r.Notes, driver.Note{Warn: true, Text: fmt.Sprintf("%d Jobs of %s are running: their end is waited for, and if that takes too long everything is put back.", len(active), s.name())})
	}
	return r, nil
}
