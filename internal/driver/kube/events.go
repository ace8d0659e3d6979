package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// A report is what the controller last said of an Ingress.
type report struct {
	ingress string
	failed  *corev1.Event // the newest failure
	failAt  time.Time
	doneAt  time.Time // the newest success
}

// failing tells whether a failure came after the last success.
func (r report) failing() bool { return r.failed != nil && r.failAt.After(r.doneAt) }

type reports []report

// failures are the reports of Ingresses whose last word since the time given is
// a failure. Times of events are whole seconds, as is since.
func (c *conn) failures(ctx context.Context, keys []string, since time.Time) (reports, error) {
	all, err := c.reports(ctx, keys)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(r report) bool { return !r.failing() || r.failAt.Before(since) }), nil
}

// fewKeys is up to how many Ingresses' events are asked for one by one rather
// than all of a namespace at once.
const fewKeys = 2

// spokesmen are enough to hear what the controller says of a group: noren's own
// Ingress while it is a member, and a member that stays when it is gone. A group
// of 50 has 50 events for each of its reconciliations.
func spokesmen(own string, members []string) []string {
	keys := []string{own}
	for _, m := range members {
		if _, name, _ := kubeobject.SplitKey(m); m != own && !strings.HasPrefix(name, lbc.OursPrefix) {
			return append(keys, m)
		}
	}
	return keys
}

// reports reads the controller's events on the Ingresses. It records each on
// every member of the group. Source: controllers/ingress/group_controller.go
// recordIngressGroupEvent, pkg/k8s/events.go.
func (c *conn) reports(ctx context.Context, keys []string) (reports, error) {
	if driver.BatchOf(ctx).Many() {
		return c.reportsOfMany(ctx, keys)
	}
	byKey := map[string]*report{}
	type query struct{ namespace, fields string }
	var queries []query
	for _, key := range keys {
		namespace, name, err := kubeobject.SplitKey(key)
		if err != nil {
			return nil, fmt.Errorf("ingress %q: %w", key, err)
		}
		byKey[key] = &report{ingress: key}
		q := query{namespace, "involvedObject.kind=Ingress"}
		if len(keys) <= fewKeys {
			q.fields += ",involvedObject.name=" + name
		}
		if !slices.Contains(queries, q) {
			queries = append(queries, q)
		}
	}
	lists := make([]*corev1.EventList, len(queries))
	err := kubeclient.Each(ctx, indices(queries), func(ctx context.Context, i int) error {
		list, err := c.client.Typed.CoreV1().Events(queries[i].namespace).List(ctx, metav1.ListOptions{FieldSelector: queries[i].fields})
		lists[i] = list
		return kubeclient.Classify(err, "list the events of namespace "+queries[i].namespace)
	})
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		for i := range list.Items {
			e := &list.Items[i]
			if r := byKey[e.InvolvedObject.Namespace+"/"+e.InvolvedObject.Name]; r != nil {
				r.add(e)
			}
		}
	}
	var out reports
	for _, r := range byKey {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b report) int { return cmp.Compare(a.ingress, b.ingress) })
	return out, nil
}

// reportsOfMany is reports for one of many: the events of a namespace are read
// once for all.
func (c *conn) reportsOfMany(ctx context.Context, keys []string) (reports, error) {
	var out reports
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		namespace, _, err := kubeobject.SplitKey(key)
		if err != nil {
			return nil, fmt.Errorf("ingress %q: %w", key, err)
		}
		c.mu.Lock()
		lately := c.heard[namespace]
		if lately == nil {
			lately = &kubeclient.Lately[map[string]report]{}
			c.heard[namespace] = lately
		}
		c.mu.Unlock()
		all, err := lately.Do(ctx, func(ctx context.Context) (map[string]report, error) { return c.reportsIn(ctx, namespace) })
		if err != nil {
			return nil, err
		}
		r := all[key]
		r.ingress = key
		out = append(out, r)
	}
	return out, nil
}

// reportsIn are the reports of all Ingresses of a namespace that have events.
func (c *conn) reportsIn(ctx context.Context, namespace string) (map[string]report, error) {
	all := map[string]report{}
	opts := metav1.ListOptions{FieldSelector: "involvedObject.kind=Ingress", Limit: kubeclient.PageSize}
	for {
		list, err := c.client.Typed.CoreV1().Events(namespace).List(ctx, opts)
		if err != nil {
			return nil, kubeclient.Classify(err, "list the events of namespace "+namespace)
		}
		for i := range list.Items {
			e := &list.Items[i]
			key := e.InvolvedObject.Namespace + "/" + e.InvolvedObject.Name
			r := all[key]
			r.add(e)
			all[key] = r
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			return all, nil
		}
	}
}

func indices[T any](of []T) []int {
	out := make([]int, len(of))
	for i := range out {
		out[i] = i
	}
	return out
}

func (r *report) add(e *corev1.Event) {
	at := eventTime(e)
	switch {
	case e.Reason == lbc.Reconciled && at.After(r.doneAt):
		r.doneAt = at
	case e.Type == corev1.EventTypeWarning && failureReasons(e.Reason) && at.After(r.failAt):
		r.failed, r.failAt = e, at
	}
}

// failureReasons are those after which the group's changes do not reach the
// load balancer. Source: pkg/k8s/events.go.
func failureReasons(reason string) bool {
	switch reason {
	case lbc.FailedBuildModel, lbc.FailedDeployModel, "FailedLoadGroupID", "FailedAddFinalizer":
		return true
	}
	return false
}

// eventTime is when an event last happened: repeated ones are counted, and
// their time moves. Source: k8s.io/client-go/tools/record eventLogger.
func eventTime(e *corev1.Event) time.Time {
	at := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	if e.EventTime.After(at) {
		at = e.EventTime.Time
	}
	return at
}

// sentences are the failures in the controller's own words, each once: it
// says the same on every member.
func (rs reports) sentences() []string {
	var out []string
	for _, r := range rs {
		s := fmt.Sprintf("%s: %s", r.failed.Reason, strings.TrimSpace(r.failed.Message))
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// verdict is OK where there are no failures.
func (rs reports) verdict(summary string) action.Verdict {
	if len(rs) == 0 {
		return action.Verdict{OK: true, Summary: summary}
	}
	namespace, name, _ := strings.Cut(rs[0].ingress, "/")
	return action.Verdict{
		Summary:  summary + ", but the controller cannot make it real",
		Findings: rs.sentences(),
		Try:      []string{fmt.Sprintf("kubectl -n %s describe ingress %s", namespace, name)},
	}
}

// eventPermissions are those needed to read the events of the Ingresses.
func eventPermissions(keys []string) []action.Permission {
	var out []action.Permission
	for _, key := range keys {
		namespace, _, _ := strings.Cut(key, "/")
		p := action.Permission{System: Name, Verb: "list", Resource: events, Namespace: namespace, Why: "see whether the controller can make the page real"}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
