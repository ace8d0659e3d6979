package gatewayapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// InsertParams are the rules that noren inserts at the head of a route's own.
// Nothing of the user's is replaced.
type InsertParams struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Rules are what is inserted, with every field written out, defaults too:
	// by them noren knows its own again.
	Rules []json.RawMessage `json:"rules"`
	// Signs are names of objects of noren's that only its own rules lead to.
	Signs []string `json:"signs,omitempty"`
	// Closed are digests of the matches that the plan's reader saw. A rule with
	// another one was written since, and is open.
	Closed []string `json:"closed,omitempty"`
	// Tolerated are conditions of the route's status that were bad before.
	Tolerated []string `json:"tolerated,omitempty"`
}

// Validate says what is missing.
func (p InsertParams) Validate() error {
	if p.Namespace == "" || p.Name == "" {
		return errors.New("namespace and name are needed")
	}
	for i, raw := range p.Rules {
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			return fmt.Errorf("rules[%d]: %w", i, err)
		}
	}
	return nil
}

// Inserted is the state: noren's rules in a route's list, wherever they stand.
// Everything else of the route is the user's and is not in it.
type Inserted struct {
	Rules []json.RawMessage `json:"rules,omitempty"`
}

// An insertion is the change that inserts them.
type insertion struct {
	conn *conn
	p    InsertParams
	on   listed
	mark *action.Mark
}

// listed is a kind of object with a list that noren inserts into.
type listed struct {
	resource
	path []string
	// ours tells noren's items by what is in them.
	ours func(item map[string]any, p InsertParams) bool
	// settled asks the kind's controller, nil if there is nobody to ask.
	settled func(i *insertion, u *unstructured.Unstructured) []string
	// page reads the page with which an item answers, nil if it does not, and
	// repage makes the item answer with another. They are nil for a kind whose
	// items lead elsewhere.
	page   func(item map[string]any) *edge.Response
	repage func(item map[string]any, page edge.Response) map[string]any
	// asked is what a verdict says of who was asked.
	asked func(i *insertion, u *unstructured.Unstructured) string
}

// Target names the object.
func (i *insertion) Target() string {
	return i.conn.target(i.p.Namespace, i.on.word, i.p.Name)
}

func (i *insertion) name() string { return i.on.word + " " + i.p.Namespace + "/" + i.p.Name }

// Marked returns the change leaving a mark.
func (i *insertion) Marked(m action.Mark) driver.Typed[Inserted] {
	marked := *i
	marked.mark = &m
	return &marked
}

// Fits tells whether the object could carry the mark beside its own annotations.
func (i *insertion) Fits(ctx context.Context, m action.Mark) error {
	u, err := i.conn.get(ctx, i.on.resource, i.p.Namespace, i.p.Name)
	if err != nil || u == nil {
		return err
	}
	return kubeclient.MarkFits(i.name(), m, u.GetAnnotations())
}

// Requires lists the permissions on the object.
func (i *insertion) Requires() []action.Permission {
	own := func(verb, why string) action.Permission {
		return action.Permission{System: name, Verb: verb, Resource: i.on.String(), Namespace: i.p.Namespace, Why: why}
	}
	return []action.Permission{own("get", "see whether the page is up"), own("patch", "put the page up and take it down")}
}

// Observe reads noren's rules on the object.
func (i *insertion) Observe(ctx context.Context) (*Inserted, error) {
	_, now, err := i.look(ctx)
	return now, err
}

func (i *insertion) look(ctx context.Context) (*unstructured.Unstructured, *Inserted, error) {
	u, err := i.conn.get(ctx, i.on.resource, i.p.Namespace, i.p.Name)
	if err != nil || u == nil {
		return nil, nil, err
	}
	rules, err := items(u, i.on.path...)
	if err != nil {
		return nil, nil, err
	}
	s := &Inserted{}
	for _, r := range rules {
		if !i.isOurs(r) {
			continue
		}
		raw, err := json.Marshal(r)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", i.name(), err)
		}
		s.Rules = append(s.Rules, raw)
	}
	return u, s, nil
}

// isOurs tells noren's rules by what only they have in them, or since they are
// what the parameters say: a copy that lets staff through has no other sign.
func (i *insertion) isOurs(rule map[string]any) bool {
	if i.on.ours(rule, i.p) {
		return true
	}
	plain := kubeobject.Plain(rule)
	return slices.ContainsFunc(i.p.Rules, func(raw json.RawMessage) bool { return reflect.DeepEqual(kubeobject.Plain(raw), plain) })
}

// Propose wants the rules of the parameters.
func (i *insertion) Propose(from *Inserted) (*Inserted, error) {
	wanted := &Inserted{Rules: i.p.Rules}
	switch {
	case from == nil:
		return nil, &fault.Fault{Code: fault.NotFound, Summary: i.on.word + " does not exist",
			Detail: fmt.Sprintf("There is no %s in environment %s.", i.name(), i.conn.env.Name)}
	case !kubeobject.Same(from, wanted) && !kubeobject.Same(from, &Inserted{}):
		return nil, kubeobject.Occupied(i.name())
	}
	return wanted, nil
}

// Apply inserts the rules, or takes them out.
func (i *insertion) Apply(ctx context.Context, from, to *Inserted) error {
	u, now, err := i.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case kubeobject.Same(now, to):
		return i.tidy(ctx, u, to)
	case now == nil || !kubeobject.Same(now, from):
		return kubeobject.Drifted(i.name(), from, now)
	case to == nil:
		return fmt.Errorf("%s: noren does not delete it; its receipt is not one of this action", i.name())
	}
	p, err := i.operations(u, to)
	if err != nil {
		return err
	}
	return i.write(ctx, p)
}

// tidy takes away the mark of this very step where somebody took the rules out
// by hand and left it.
func (i *insertion) tidy(ctx context.Context, u *unstructured.Unstructured, to *Inserted) error {
	if u == nil || i.mark == nil || to == nil || len(to.Rules) > 0 {
		return nil
	}
	raw, ok := u.GetAnnotations()[kubeclient.MarkAnnotation]
	if !ok || !kubeobject.SameReceipt(raw, i.mark.Receipt) {
		return nil
	}
	at := kubeclient.Annotation(kubeclient.MarkAnnotation)
	return i.write(ctx, start(u).Test(at, raw).Remove(at))
}

// start begins a patch of this very object, not of one made anew under its name.
func start(u *unstructured.Unstructured) *kubeclient.Patch {
	return (&kubeclient.Patch{}).Test("/metadata/uid", u.GetUID())
}

func (i *insertion) write(ctx context.Context, p *kubeclient.Patch) error {
	return i.conn.patch(ctx, i.on.resource, i.p.Namespace, i.p.Name, i.name(), p)
}

// operations is the JSON Patch that brings the object, as it was just read, to
// a state. Every operation is behind a test of what it changes.
func (i *insertion) operations(u *unstructured.Unstructured, to *Inserted) (*kubeclient.Patch, error) {
	p := start(u)
	if err := i.moveMark(p, u, to); err != nil {
		return nil, err
	}
	rules, err := items(u, i.on.path...)
	if err != nil {
		return nil, err
	}
	if i.renewing(rules, to) {
		i.replace(p, rules, to)
		return p, nil
	}
	for n, r := range slices.Backward(rules) {
		if i.isOurs(r) {
			at := kubeclient.Pointer(append(slices.Clone(i.on.path), strconv.Itoa(n))...)
			p.Test(at, r).Remove(at)
		}
	}
	list := kubeclient.Pointer(i.on.path...)
	if _, there, _ := unstructured.NestedFieldNoCopy(u.Object, i.on.path...); !there && len(to.Rules) > 0 {
		p.Test(list, nil).Add(list, []any{})
	}
	for n, r := range to.Rules {
		p.Add(kubeclient.Pointer(append(slices.Clone(i.on.path), strconv.Itoa(n))...), r)
	}
	return p, nil
}

// moveMark leaves the mark with the rules, and takes it away with them.
func (i *insertion) moveMark(p *kubeclient.Patch, u *unstructured.Unstructured, to *Inserted) error {
	at := kubeclient.Annotation(kubeclient.MarkAnnotation)
	old, there := u.GetAnnotations()[kubeclient.MarkAnnotation]
	if len(to.Rules) == 0 || i.mark == nil || kubeobject.TakesAway(*i.mark, to) {
		if there {
			p.Test(at, old).Remove(at)
		}
		return nil
	}
	raw, err := i.mark.Text()
	if err != nil {
		return err
	}
	switch {
	case there:
		p.Test(at, old)
	case u.GetAnnotations() == nil:
		p.Test("/metadata/annotations", nil).Add("/metadata/annotations", map[string]string{})
	default:
		p.Test(at, nil)
	}
	p.Add(at, raw)
	return nil
}

// Settled asks whether the controller has taken the rules, where it tells, and
// whether a rule was written since that noren does not cover. That the page is
// seen, or gone, is for the probe to say.
func (i *insertion) Settled(ctx context.Context, want *Inserted) (action.Verdict, error) {
	u, now, err := i.look(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	if u == nil {
		return action.Verdict{Summary: i.name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	v := action.Verdict{Summary: i.name() + " is not as noren left it", Try: []string{kubeobject.Show(i.name())}}
	if !kubeobject.Same(now, want) {
		v.Findings = []string{"someone changed noren's rules since"}
		return v, nil
	}
	up := want != nil && len(want.Rules) > 0
	if up {
		v.Findings = append(v.Findings, i.open(u)...)
	}
	if i.on.settled != nil {
		v.Findings = append(v.Findings, i.on.settled(i, u)...)
	}
	if len(v.Findings) > 0 {
		v.Summary = "the rules of " + i.name() + " have not taken effect"
		return v, nil
	}
	v = action.Verdict{OK: true, Summary: "the page's rules are off " + i.name()}
	if up {
		v.Summary = "the page's rules are on " + i.name()
	}
	v.Summary += i.on.asked(i, u)
	return v, nil
}

// open are the rules that were written since the plan was made: their author
// did not know that the route closes.
func (i *insertion) open(u *unstructured.Unstructured) []string {
	rules, err := items(u, i.on.path...)
	if err != nil || i.p.Closed == nil {
		return nil
	}
	var out []string
	for n, r := range rules {
		if i.isOurs(r) {
			continue
		}
		for _, d := range matchDigests(r) {
			if !slices.Contains(i.p.Closed, d) {
				out = append(out, fmt.Sprintf("rules[%d] was written after the plan was made, and is open: make a new plan", n))
				break
			}
		}
	}
	return out
}

// Describe shows noren's rules as YAML.
func (i *insertion) Describe(from, to *Inserted) action.Description {
	d := action.Description{Before: i.manifest(from), After: i.manifest(to)}
	put, gone := 0, 0
	if to != nil {
		put = len(to.Rules)
	}
	if from != nil {
		gone = len(from.Rules)
	}
	switch {
	case put == 1 && gone == 0:
		d.Line = "insert a rule at the head of " + i.name()
	case put > gone:
		d.Line = fmt.Sprintf("insert %d rules at the head of %s", put, i.name())
	case gone > put:
		d.Line = "take noren's rules out of " + i.name()
	case !kubeobject.Same(from, to):
		d.Line = "renew the page on " + i.name()
	default:
		d.Line = "leave " + i.name() + " as it is"
	}
	return d
}

// manifest is noren's part of the object. Passes are replaced by dots.
func (i *insertion) manifest(s *Inserted) string {
	if s == nil || len(s.Rules) == 0 {
		return ""
	}
	object := map[string]any{"kind": i.on.kind, "metadata": map[string]any{"namespace": i.p.Namespace, "name": i.p.Name}}
	_ = unstructured.SetNestedField(object, kubeobject.Plain(s.Rules), i.on.path...)
	out, err := yaml.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return redact(string(out))
}
