package kubepage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Params are one page, as a ConfigMap.
type Params struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Digest is that of the page's files. The mark has it in place of the page,
	// which the ConfigMap holds itself: it is all that the way back needs.
	Digest string        `json:"digest"`
	Page   *pageapi.Page `json:"page,omitempty"`
	// Former is the page that Page replaces where a closing is extended.
	Former *pageapi.Page `json:"former,omitempty"`
}

// NewParams are the parameters of a page.
func NewParams(namespace, name string, p pageapi.Page) (Params, error) {
	files, err := p.Files()
	if err != nil {
		return Params{}, err
	}
	return Params{Namespace: namespace, Name: name, Digest: pageapi.Digest(files), Page: &p}, CheckSize(p)
}

// Validate says what is missing.
func (p Params) Validate() error {
	if p.Namespace == "" || p.Name == "" || p.Digest == "" {
		return errors.New("namespace, name and digest are needed")
	}
	return nil
}

// A State is the ConfigMap as far as the page server reads it: its label and
// the digest of its data. The page itself is in the parameters and in the
// ConfigMap, once in each: receipts and marks stay small. No state: no object.
type State struct {
	Label  string `json:"label,omitempty"`
	Digest string `json:"digest"`
}

type change struct {
	client *kubeclient.Client
	system string
	env    driver.Env
	p      Params
	mark   *action.Mark
}

// Open opens the change. System is the driver's name, which its targets and
// permissions begin with.
func Open(client *kubeclient.Client, system string, env driver.Env, p Params) (driver.Typed[State], error) {
	return &change{client: client, system: system, env: env, p: p}, nil
}

func (c *change) Target() string {
	return fmt.Sprintf("%s:%s/%s/configmap/%s", c.system, c.env.Name, c.p.Namespace, c.p.Name)
}

func (c *change) name() string { return "configmap " + c.p.Namespace + "/" + c.p.Name }

func (c *change) Marked(m action.Mark) driver.Typed[State] {
	marked := *c
	marked.mark = &m
	return &marked
}

func (c *change) Requires() []action.Permission {
	own := func(verb, why string) action.Permission {
		return action.Permission{System: c.system, Verb: verb, Resource: "configmaps", Namespace: c.p.Namespace, Why: why}
	}
	return []action.Permission{own("get", "see whether the page server has the page"), own("create", "give the page server the page"),
		own("patch", "give the page another end"), own("delete", "take the page away again")}
}

// Observe takes a ConfigMap under deletion for gone, as the page server does.
func (c *change) Observe(ctx context.Context) (*State, error) {
	cm, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	return stateOf(cm), nil
}

func (c *change) read(ctx context.Context) (*corev1.ConfigMap, error) {
	cm, err := c.client.Typed.CoreV1().ConfigMaps(c.p.Namespace).Get(ctx, c.p.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, "read "+c.name())
	}
	return cm, nil
}

func stateOf(cm *corev1.ConfigMap) *State {
	if cm == nil || cm.DeletionTimestamp != nil {
		return nil
	}
	return &State{Label: cm.Labels[pageapi.Label], Digest: pageapi.Digest(filesOf(cm))}
}

func filesOf(cm *corev1.ConfigMap) map[string]string {
	files := maps.Clone(cm.Data)
	for name, body := range cm.BinaryData {
		if files == nil {
			files = map[string]string{}
		}
		files[name] = string(body)
	}
	return files
}

func (c *change) wanted() *State { return &State{Label: pageapi.LabelValue, Digest: c.p.Digest} }

func (c *change) Propose(from *State) (*State, error) {
	if from != nil && *from != *c.wanted() {
		return nil, &fault.Fault{Code: fault.Locked, Summary: "closed by another run",
			Detail: fmt.Sprintf("There is %s already, a page that no run of this state directory put there: it was closed from another machine or account, which its annotation %s names. Open it from there.", c.name(), MarkAnnotation),
			Try:    []string{"noren status", c.show()}, Err: action.ErrDrift}
	}
	return c.wanted(), nil
}

func (c *change) show() string {
	return fmt.Sprintf("kubectl -n %s get configmap %s -o yaml", c.p.Namespace, c.p.Name)
}

func (c *change) Apply(ctx context.Context, from, to *State) error {
	cm, err := c.read(ctx)
	if err != nil {
		return err
	}
	now := stateOf(cm)
	switch {
	case equal(now, to):
		return nil
	case !equal(now, from):
		return c.drifted(from, now)
	case to == nil:
		return c.remove(ctx, cm)
	case from != nil:
		return c.replace(ctx, cm, to)
	case cm != nil:
		return fmt.Errorf("create %s: the one before it is still being deleted, held by %s: %w",
			c.name(), strings.Join(cm.Finalizers, ", "), action.ErrUnavailable)
	default:
		return c.create(ctx, to)
	}
}

func equal(a, b *State) bool { return a == b || a != nil && b != nil && *a == *b }

func (c *change) drifted(from, now *State) error {
	f := &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: action.ErrDrift, Try: []string{c.show()}}
	switch {
	case now == nil:
		f.Detail = fmt.Sprintf("%s does not exist any more: someone else deleted it. Nothing was written.", c.name())
	case from == nil:
		f.Detail = fmt.Sprintf("%s exists already and is not what noren would make: someone else created it. Nothing was written.", c.name())
	default:
		f.Detail = fmt.Sprintf("%s is not as noren left it: someone else changed the page or its label %s. Nothing was written.", c.name(), pageapi.Label)
	}
	return f
}

func (c *change) create(ctx context.Context, to *State) error {
	files, err := c.filesFor(to)
	if err != nil {
		return err
	}
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.p.Namespace, Name: c.p.Name,
			Labels: map[string]string{managedBy: kubeclient.FieldManager, pageapi.Label: to.Label}},
		Data: files,
	}
	if c.mark != nil {
		if cm.Annotations, err = c.annotations(); err != nil {
			return err
		}
	}
	_, err = c.client.Typed.CoreV1().ConfigMaps(c.p.Namespace).Create(ctx, cm, metav1.CreateOptions{FieldManager: kubeclient.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		// Someone was quicker by a moment; the next try reads it.
		return fmt.Errorf("create %s: it came into being at the same moment: %w", c.name(), action.ErrUnavailable)
	}
	return kubeclient.Classify(err, "create "+c.name())
}

// filesFor are the files of a state, which the parameters hold.
func (c *change) filesFor(to *State) (map[string]string, error) {
	if c.p.Page == nil {
		return nil, fmt.Errorf("%s: the page itself is not known here; close again", c.name())
	}
	if _, files := c.pageOf(to); files != nil {
		return files, nil
	}
	return nil, fmt.Errorf("%s: another noren wrote this page's files otherwise; make a new plan", c.name())
}

// pageOf is the page of a state and its files, nil where the parameters hold
// another one.
func (c *change) pageOf(s *State) (*pageapi.Page, map[string]string) {
	for _, p := range []*pageapi.Page{c.p.Page, c.p.Former} {
		if p == nil {
			continue
		}
		if files, err := p.Files(); err == nil && pageapi.Digest(files) == s.Digest {
			return p, files
		}
	}
	return nil, nil
}

// annotations hold the mark, without the page: annotations of an object have
// 256 KiB together, and the page is in the same object.
// Source: k8s.io/apimachinery pkg/api/validation TotalAnnotationSizeLimitB.
func (c *change) annotations() (map[string]string, error) {
	mark, err := withoutPage(*c.mark)
	if err != nil {
		return nil, err
	}
	text, err := mark.Text()
	if err != nil {
		return nil, err
	}
	return map[string]string{MarkAnnotation: text}, nil
}

// Fits tells whether a new ConfigMap could carry the mark.
func (c *change) Fits(_ context.Context, m action.Mark) error {
	mark, err := withoutPage(m)
	if err != nil {
		return err
	}
	return kubeclient.MarkFits(c.name(), mark)
}

func withoutPage(mark action.Mark) (action.Mark, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(mark.Params, &members); err == nil && members["page"] != nil {
		delete(members, "page")
		delete(members, "former")
		if mark.Params, err = json.Marshal(members); err != nil {
			return mark, fmt.Errorf("mark: %w", err)
		}
	}
	if mark.Sum == "" {
		return mark, nil
	}
	return mark.Sealed()
}

// remove deletes exactly the object that was read: a write by anybody in
// between makes the server refuse.
func (c *change) remove(ctx context.Context, cm *corev1.ConfigMap) error {
	err := c.client.Typed.CoreV1().ConfigMaps(c.p.Namespace).Delete(ctx, c.p.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return kubeclient.Classify(err, "delete "+c.name())
}

// Settled: the object is there, or gone. That it is served is for the probe to
// say.
func (c *change) Settled(ctx context.Context, want *State) (action.Verdict, error) {
	now, err := c.Observe(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	v := action.Verdict{OK: equal(now, want), Summary: c.name() + " is there"}
	if want == nil {
		v.Summary = c.name() + " is gone"
	}
	if !v.OK {
		v.Summary = c.name() + " is not as noren left it"
		v.Findings = []string{"someone changed it since"}
	}
	return v, nil
}

func (c *change) Describe(from, to *State) action.Description {
	d := action.Description{Line: "leave " + c.name() + " as it is", Before: c.manifest(from), After: c.manifest(to)}
	switch {
	case from == nil && to != nil:
		d.Line = "give the page server the page, as " + c.name()
	case from != nil && to == nil:
		d.Line = "take the page away from the page server: delete " + c.name()
	case !equal(from, to):
		d.Line = "renew the page in " + c.name()
	}
	return d
}

// manifest shows what a person wants to see of a page: whose it is and how
// large, not a megabyte of it.
func (c *change) manifest(s *State) string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: %s\n  labels:\n    %s: %s\n", c.p.Name, c.p.Namespace, pageapi.Label, s.Label)
	shown, _ := c.pageOf(s)
	if shown == nil {
		fmt.Fprintf(&b, "# data: sha256 %s\n", s.Digest)
		return b.String()
	}
	fmt.Fprintf(&b, "# for %s\n", strings.Join(hostNames(shown.Hosts), ", "))
	r := shown.Response
	fmt.Fprintf(&b, "# %d %s, %d bytes\n", r.Status, r.ContentType, len(r.Body))
	if at := r.Header["Retry-After"]; at != "" {
		fmt.Fprintf(&b, "# Retry-After: %s\n", at)
	}
	if r.Twin != nil {
		fmt.Fprintf(&b, "# %d %s, %d bytes\n", r.Status, r.Twin.ContentType, len(r.Twin.Body))
	}
	return b.String()
}

func hostNames(hosts []string) []string {
	if len(hosts) == 0 {
		return []string{"any host"}
	}
	out := make([]string, len(hosts))
	for i, h := range hosts {
		if out[i] = h; h == "" {
			out[i] = "any host"
		}
	}
	return out
}
