package gatewayapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// AnswerParams are an object of noren's that rules lead to: the answer of an
// implementation, or the addresses that a rule is for.
type AnswerParams struct {
	// Kind is ListenerRuleConfiguration or HTTPRouteFilter. Its version is the
	// best that the server serves: a controller's upgrade while closed is no
	// obstacle.
	Kind      string          `json:"kind"`
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Spec      json.RawMessage `json:"spec"`
}

// Validate says what is missing.
func (p AnswerParams) Validate() error {
	if p.Namespace == "" || p.Name == "" {
		return errors.New("namespace and name are needed")
	}
	if answerKind(p.Kind) == nil {
		return fmt.Errorf("kind %q is none of ListenerRuleConfiguration, HTTPRouteFilter", p.Kind)
	}
	return json.Unmarshal(p.Spec, &map[string]any{})
}

func answerKind(kind string) *implementation {
	for _, m := range []*implementation{awsLoadBalancer(), envoyGateway()} {
		if m.kind == kind {
			return m
		}
	}
	return nil
}

// An Answer is the state of that object: what noren writes of it. What the
// server fills in, and what others add, is not in it. No state: no object.
type Answer struct {
	Manager string          `json:"manager"`
	Spec    json.RawMessage `json:"spec"`
}

// An answer is the change that creates it.
type answer struct {
	conn *conn
	p    AnswerParams
	of   *implementation
	mark *action.Mark
}

func openAnswer(c *conn, p AnswerParams) (driver.Typed[Answer], error) {
	return &answer{conn: c, p: p, of: answerKind(p.Kind)}, nil
}

// Target names the object.
func (a *answer) Target() string { return a.conn.target(a.p.Namespace, a.of.word, a.p.Name) }

func (a *answer) name() string { return a.of.word + " " + a.p.Namespace + "/" + a.p.Name }

// Marked returns the change leaving a mark.
func (a *answer) Marked(m action.Mark) driver.Typed[Answer] {
	marked := *a
	marked.mark = &m
	return &marked
}

// Fits tells whether a new object could carry the mark.
func (a *answer) Fits(_ context.Context, m action.Mark) error {
	return kubeclient.MarkFits(a.name(), m)
}

// Requires lists the permissions on the object.
func (a *answer) Requires() []action.Permission { return answerPermissions(a.of, a.p.Namespace) }

func answerPermissions(m *implementation, namespace string) []action.Permission {
	own := func(verb, why string) action.Permission {
		return action.Permission{System: name, Verb: verb, Resource: m.String(), Namespace: namespace, Why: why}
	}
	return []action.Permission{own("get", "see whether the page is up"), own("create", "put the page up"), own("patch", "give the page another end"), own("delete", "take the page down")}
}

// Observe takes an object under deletion for gone: nothing of it can be used
// any more once its finalizers are off.
func (a *answer) Observe(ctx context.Context) (*Answer, error) {
	u, err := a.conn.get(ctx, a.of.resource, a.p.Namespace, a.p.Name)
	if err != nil {
		return nil, err
	}
	return a.stateOf(u)
}

func (a *answer) stateOf(u *unstructured.Unstructured) (*Answer, error) {
	if u == nil || u.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	spec, err := json.Marshal(within(u.Object["spec"], kubeobject.Plain(a.p.Spec)))
	return &Answer{Manager: u.GetLabels()[kubeobject.ManagedBy], Spec: spec}, err
}

// within is of live what wanted has members for: the server fills in defaults,
// in versions that noren does not know others than today.
func within(live, wanted any) any {
	want, ok := wanted.(map[string]any)
	have, okToo := live.(map[string]any)
	if ok && okToo {
		out := map[string]any{}
		for k, v := range want {
			if there, has := have[k]; has {
				out[k] = within(there, v)
			}
		}
		return out
	}
	wantList, ok := wanted.([]any)
	haveList, okToo := live.([]any)
	if ok && okToo && len(wantList) == len(haveList) {
		out := make([]any, len(haveList))
		for i := range haveList {
			out[i] = within(haveList[i], wantList[i])
		}
		return out
	}
	return live
}

func (a *answer) wanted() *Answer { return &Answer{Manager: kubeclient.FieldManager, Spec: a.p.Spec} }

// Propose wants the object as the parameters say.
func (a *answer) Propose(from *Answer) (*Answer, error) {
	if from != nil && !kubeobject.Same(from, a.wanted()) {
		return nil, kubeobject.Occupied(a.name())
	}
	return a.wanted(), nil
}

// Apply creates the object, or deletes it.
func (a *answer) Apply(ctx context.Context, from, to *Answer) error {
	u, err := a.conn.get(ctx, a.of.resource, a.p.Namespace, a.p.Name)
	if err != nil {
		return err
	}
	now, err := a.stateOf(u)
	if err != nil {
		return err
	}
	switch {
	case kubeobject.Same(now, to):
		return nil
	case !kubeobject.Same(now, from):
		return kubeobject.Drifted(a.name(), from, now)
	case to == nil:
		return a.remove(ctx, u)
	case from != nil:
		return a.replace(ctx, u, to)
	case u != nil:
		return fmt.Errorf("create %s: the one before it is still being deleted, held by %s: %w",
			a.name(), strings.Join(u.GetFinalizers(), ", "), action.ErrUnavailable)
	default:
		return a.create(ctx, to)
	}
}

func (a *answer) create(ctx context.Context, to *Answer) error {
	version, err := a.conn.version(ctx, a.of.resource)
	if err != nil {
		return err
	}
	api, err := a.conn.api(ctx, a.of.resource, a.p.Namespace)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": kubeobject.Plain(to.Spec)}}
	u.SetAPIVersion(a.of.group + "/" + version)
	u.SetKind(a.of.kind)
	u.SetNamespace(a.p.Namespace)
	u.SetName(a.p.Name)
	u.SetLabels(map[string]string{kubeobject.ManagedBy: to.Manager})
	if a.mark != nil {
		raw, err := a.mark.Text()
		if err != nil {
			return err
		}
		u.SetAnnotations(map[string]string{kubeclient.MarkAnnotation: raw})
	}
	_, err = api.Create(ctx, u, metav1.CreateOptions{FieldManager: kubeclient.FieldManager, FieldValidation: metav1.FieldValidationStrict})
	if apierrors.IsAlreadyExists(err) {
		// Someone was quicker by a moment; the next try reads it.
		return fmt.Errorf("create %s: it came into being at the same moment: %w", a.name(), action.ErrUnavailable)
	}
	return kubeclient.Classify(err, "create "+a.name())
}

// remove deletes exactly the object that was read: a write by anybody in
// between makes the server refuse.
func (a *answer) remove(ctx context.Context, u *unstructured.Unstructured) error {
	api, err := a.conn.api(ctx, a.of.resource, a.p.Namespace)
	if err != nil {
		return err
	}
	uid, version := u.GetUID(), u.GetResourceVersion()
	err = api.Delete(ctx, a.p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return kubeclient.Classify(err, "delete "+a.name())
}

// Settled: created is settled at once, since nothing leads to the object yet;
// deleted is settled when it is gone with its finalizers.
func (a *answer) Settled(ctx context.Context, want *Answer) (action.Verdict, error) {
	u, err := a.conn.get(ctx, a.of.resource, a.p.Namespace, a.p.Name)
	if err != nil {
		return action.Verdict{}, err
	}
	now, err := a.stateOf(u)
	v := action.Verdict{Summary: a.name() + " is not as noren left it", Findings: []string{"someone changed it since"}, Try: []string{kubeobject.Show(a.name())}}
	switch {
	case err != nil:
		return v, err
	case !kubeobject.Same(now, want):
	case want != nil:
		return action.Verdict{OK: true, Summary: a.name() + " is there"}, nil
	case u == nil:
		return action.Verdict{OK: true, Summary: a.name() + " is gone"}, nil
	default:
		v.Summary = a.name() + " is being deleted"
		v.Findings = []string{"held by the finalizers " + strings.Join(u.GetFinalizers(), ", ") + ": " + a.of.people + " takes them off once no rule leads to it"}
	}
	return v, nil
}

// Describe shows the object as YAML.
func (a *answer) Describe(from, to *Answer) action.Description {
	d := action.Description{Line: "leave " + a.name() + " as it is", Before: a.manifest(from), After: a.manifest(to)}
	switch {
	case from == nil && to != nil:
		d.Line = "create " + a.name()
	case from != nil && to == nil:
		d.Line = "delete " + a.name()
	case !kubeobject.Same(from, to):
		d.Line = "renew the page in " + a.name()
	}
	return d
}

func (a *answer) manifest(s *Answer) string {
	if s == nil {
		return ""
	}
	out, err := yaml.Marshal(map[string]any{"kind": a.p.Kind, "spec": kubeobject.Plain(s.Spec),
		"metadata": map[string]any{"namespace": a.p.Namespace, "name": a.p.Name, "labels": map[string]string{kubeobject.ManagedBy: s.Manager}}})
	if err != nil {
		return err.Error()
	}
	return string(out)
}
