package gatewayapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// Shows implements driver.TypedRenewer. An object that limits a rule to
// addresses shows no page.
func (a *answer) Shows(s *Answer, marks []string) (driver.Room, bool) {
	spec, _ := kubeobject.Plain(s.Spec).(map[string]any)
	r := a.of.response(spec)
	return driver.Room{Limit: a.of.limit, Headers: r != nil && len(r.Header) > 0}, r != nil && slices.Contains(marks, r.Mark)
}

// Renew implements driver.TypedRenewer.
func (a *answer) Renew(s *Answer, page edge.Response, marks []string) (*Answer, error) {
	room, ok := a.Shows(s, marks)
	if !ok {
		return s, nil
	}
	if err := a.of.checkPage(page); err != nil {
		return nil, err
	}
	spec, err := json.Marshal(a.of.spec(page, room.Headers))
	return &Answer{Manager: s.Manager, Spec: spec}, err
}

// replace gives the object another page in place. The server refuses unless it
// is exactly the object that was read.
func (a *answer) replace(ctx context.Context, u *unstructured.Unstructured, to *Answer) error {
	p := start(u).Test("/metadata/resourceVersion", u.GetResourceVersion()).Add("/spec", to.Spec)
	marking := kubeobject.Marking{Key: kubeclient.MarkAnnotation, Mark: a.mark}
	if err := marking.Write(p, u.GetAnnotations(), to); err != nil {
		return err
	}
	return a.conn.patch(ctx, a.of.resource, a.p.Namespace, a.p.Name, a.name(), p)
}

// patch sends a patch. Strict validation makes the server refuse fields that
// the CRD does not know, where it would else drop them.
func (c *conn) patch(ctx context.Context, r resource, namespace, object, what string, p *kubeclient.Patch) error {
	body, err := p.JSON()
	if err != nil {
		return err
	}
	api, err := c.api(ctx, r, namespace)
	if err != nil {
		return err
	}
	_, err = api.Patch(ctx, object, types.JSONPatchType, body,
		metav1.PatchOptions{FieldManager: kubeclient.FieldManager, FieldValidation: metav1.FieldValidationStrict})
	err = kubeclient.Classify(err, "patch "+what)
	if errors.Is(err, kubeclient.ErrTestFailed) {
		// The object changed between the read and the write. Nothing was
		// written: the next try reads again, and knows whether it is drift.
		return fmt.Errorf("%w: %w", action.ErrUnavailable, err)
	}
	return err
}

// Shows implements driver.TypedRenewer. The rules of an HTTPRoute lead to a
// page that stands elsewhere; entries of a VirtualService are the page.
func (i *insertion) Shows(s *Inserted, marks []string) (driver.Room, bool) {
	shows := slices.ContainsFunc(s.Rules, func(raw json.RawMessage) bool { return i.bears(kubeobject.Plain(raw), marks) })
	return driver.Room{Limit: envoyGateway().limit, Headers: true}, shows
}

func (i *insertion) bears(rule any, marks []string) bool {
	item, ok := rule.(map[string]any)
	if !ok || i.on.page == nil {
		return false
	}
	page := i.on.page(item)
	return page != nil && slices.Contains(marks, page.Mark)
}

// Renew implements driver.TypedRenewer.
func (i *insertion) Renew(s *Inserted, page edge.Response, marks []string) (*Inserted, error) {
	if len(page.Body) > envoyGateway().limit {
		return nil, tooLargeForIstio(page)
	}
	out := &Inserted{Rules: slices.Clone(s.Rules)}
	for n, raw := range s.Rules {
		rule := kubeobject.Plain(raw)
		if !i.bears(rule, marks) {
			continue
		}
		fresh, err := json.Marshal(i.on.repage(rule.(map[string]any), page))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.name(), err)
		}
		out.Rules[n] = fresh
	}
	return out, nil
}

// renewing tells whether as many rules of noren's are to be there as are:
// then they stay where they are.
func (i *insertion) renewing(rules []map[string]any, to *Inserted) bool {
	n := 0
	for _, r := range rules {
		if i.isOurs(r) {
			n++
		}
	}
	return n > 0 && n == len(to.Rules)
}

// replace replaces noren's rules, each in its place and tested by its value.
func (i *insertion) replace(p *kubeclient.Patch, rules []map[string]any, to *Inserted) {
	next := 0
	for n, r := range rules {
		if !i.isOurs(r) {
			continue
		}
		fresh := kubeobject.Plain(to.Rules[next])
		next++
		if reflect.DeepEqual(kubeobject.Plain(r), fresh) {
			continue
		}
		at := kubeclient.Pointer(append(slices.Clone(i.on.path), strconv.Itoa(n))...)
		p.Test(at, r).Remove(at).Add(at, fresh)
	}
}
