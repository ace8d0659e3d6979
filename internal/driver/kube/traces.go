package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
)

// findTraces lists the marks on all Ingresses, workloads and pages, and the
// Ingresses that answer with a page and carry none.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	all, err := c.listIngresses(ctx)
	if err != nil {
		return nil, err
	}
	found := &driver.Traces{Seen: []driver.Seen{{Kind: "Ingresses", Count: len(all)}}}
	for _, ing := range all {
		if ing.DeletionTimestamp != nil {
			continue
		}
		if m, marked := kubeobject.MarkOn(ing, c.target(ing.Namespace, "ingress", ing.Name)); marked {
			found.Marks = append(found.Marks, m)
		} else if u, closed := unmarked(ing); closed {
			u.Target = c.target(ing.Namespace, "ingress", ing.Name)
			found.Unmarked = append(found.Unmarked, u)
		}
	}
	if err := workloadTraces(ctx, c, found); err != nil {
		return nil, err
	}
	err = kubepage.Traces(ctx, c.client, c.target, found)
	if errors.Is(err, &fault.Fault{Code: fault.Denied}) && !c.page.known() {
		err = nil // without a page server there are none
	}
	return found, err
}

// unmarked describes an Ingress without a mark that looks like a closed page:
// one that noren made, one with rules of noren's, or one that answers 503 by
// itself.
func unmarked(ing *networkingv1.Ingress) (driver.Unmarked, bool) {
	name := "ingress " + lbc.Key(ing)
	u := driver.Unmarked{Advice: []string{kubeobject.Show(name)}}
	u.By, u.Since = lastWriter(ing)
	pages := pagesIn(ing)
	ours := slices.ContainsFunc(pages, func(p string) bool { return strings.HasPrefix(p, lbc.OursPrefix) })
	switch {
	case createdByUs(ing):
		u.Ours, u.What = true, name+" is one that noren puts in front of a service, and its mark is gone"
		u.Advice = append(u.Advice, fmt.Sprintf("kubectl -n %s delete ingress %s     # the service is open then", ing.Namespace, ing.Name))
	case ours:
		u.Ours, u.What = true, fmt.Sprintf("%s has rules of noren's (%s), and the mark is gone", name, strings.Join(pages, ", "))
		u.Advice = append(u.Advice, fmt.Sprintf("kubectl -n %s edit ingress %s     # take out the rules and annotations whose names begin with %s", ing.Namespace, ing.Name, lbc.OursPrefix))
	case len(pages) > 0:
		u.What = fmt.Sprintf("%s answers 503 by itself (%s), and not by noren", name, strings.Join(pages, ", "))
	default:
		return u, false
	}
	return u, true
}

// closedStatus is what a closed page is answered with, as the controller writes it.
var closedStatus = strconv.Itoa(http.StatusServiceUnavailable)

// pagesIn are the names of the actions of an Ingress that answer 503 and that a
// rule leads to.
func pagesIn(ing *networkingv1.Ingress) []string {
	used := map[string]bool{}
	for _, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, p := range r.HTTP.Paths {
			if s := p.Backend.Service; s != nil && s.Port.Name == lbc.UseAnnotation {
				used[s.Name] = true
			}
		}
	}
	if d := ing.Spec.DefaultBackend; d != nil && d.Service != nil && d.Service.Port.Name == lbc.UseAnnotation {
		used[d.Service.Name] = true
	}
	var pages []string
	for _, name := range slices.Sorted(maps.Keys(used)) {
		var a lbc.Action
		if json.Unmarshal([]byte(ing.Annotations[lbc.ActionAnnotation(name)]), &a) == nil && a.FixedResponse != nil && a.FixedResponse.StatusCode == closedStatus {
			pages = append(pages, name)
		}
	}
	return pages
}

// lastWriter is who wrote the Ingress's spec last, and when, as far as the API
// server knows.
// Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func lastWriter(ing *networkingv1.Ingress) (manager string, at time.Time) {
	for _, m := range ing.ManagedFields {
		var fields struct {
			Spec json.RawMessage `json:"f:spec"`
		}
		if m.FieldsV1 == nil || json.Unmarshal(m.FieldsV1.Raw, &fields) != nil || fields.Spec == nil {
			continue
		}
		if m.Time != nil && !m.Time.Time.Before(at) {
			manager, at = m.Manager, m.Time.Time
		}
	}
	return manager, at
}
