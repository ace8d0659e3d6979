package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// notes are what the reader of a plan should know of the entrance.
func (e *entrance) notes(ctx context.Context, r *reading, s *driver.Survey, problems []lbc.Problem, guessed bool) ([]driver.Note, error) {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	failing, err := e.conn.troubles(ctx, r)
	var f *fault.Fault
	switch {
	case errors.As(err, &f) && f.Code == fault.Denied:
		say(true, "noren may not read the controller's events: %s", f.Detail)
	case err != nil:
		return nil, err
	}
	for _, t := range failing {
		say(true, "The load balancer of ingress %s takes no changes until this is mended: %s", e.key(), t)
	}
	for _, p := range problems {
		if !p.Freezes() {
			say(false, "%s", p)
		}
	}
	if others := otherNamespaces(r); len(others) > 0 {
		say(false, "Ingress %s shares its load balancer (%s) with Ingresses of namespace %s.", e.key(), r.group, strings.Join(others, ", "))
	}
	if loginAsked(s.Front, e.key()) {
		say(false, "Ingress %s asks for a login.", e.key())
	}
	if guessed {
		say(false, "Ingress %s is taken to belong to the Argo CD Application %q by its label %s, which Helm sets as well.", e.key(), r.owner.Name, instanceLabel)
	}
	if skipped := wildcards(s.Hosts); len(skipped) > 0 {
		say(true, "%s cannot be probed: give the service a health-check URL under it.", strings.Join(skipped, ", "))
	}
	say(false, "WebSockets and other long streams that are open when ingress %s closes stay open: the load balancer looks at its rules only when a request begins.", e.key())
	return notes, nil
}

func otherNamespaces(r *reading) []string {
	var out []string
	for _, m := range r.members {
		if m.Namespace != r.ing.Namespace && !slices.Contains(out, m.Namespace) {
			out = append(out, m.Namespace)
		}
	}
	return out
}

// loginAsked tells whether any rule of the Ingress asks for a login.
func loginAsked(front edge.Front, key string) bool {
	for _, l := range front.Listeners {
		for _, rule := range l.Rules {
			if rule.Action.Login && strings.Contains(rule.Name, "ingress "+key+" ") {
				return true
			}
		}
	}
	return false
}

func wildcards(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !strings.ContainsAny(h, "*?") })
}

const (
	trackingAnnotation = "argocd.argoproj.io/tracking-id"
	instanceLabel      = "app.kubernetes.io/instance"
)

// ownerOf is the Argo CD Application that keeps an object as Git says, and
// whether that is a guess. The tracking id is "app:group/kind:namespace/name",
// and app is "namespace_app" for an Application outside Argo CD's own
// namespace. Source: argoproj/argo-cd docs/user-guide/resource_tracking.md,
// docs/operator-manual/app-any-namespace.md.
func ownerOf(ing *networkingv1.Ingress) (owner *driver.Owner, guessed bool) {
	return ownerOfObject(ing, "Ingress")
}

// ownerOfObject is ownerOf for an object of any kind, as the API writes it.
func ownerOfObject(o metav1.Object, kind string) (owner *driver.Owner, guessed bool) {
	if id, ok := o.GetAnnotations()[trackingAnnotation]; ok {
		app, rest, _ := strings.Cut(id, ":")
		// A copy of another object's annotations carries that object's id.
		if strings.HasSuffix(rest, "/"+kind+":"+o.GetNamespace()+"/"+o.GetName()) {
			return application(app), false
		}
	}
	if app, ok := o.GetLabels()[instanceLabel]; ok && app != "" {
		return application(app), true
	}
	return nil, false
}

// application is the Application that a tracking id or label names. Without a
// namespace in it, it is in Argo CD's own, which the driver argocd knows.
func application(app string) *driver.Owner {
	if namespace, name, ok := strings.Cut(app, "_"); ok {
		return &driver.Owner{System: "argocd", Namespace: namespace, Name: name}
	}
	return &driver.Owner{System: "argocd", Name: app}
}

// editors are tools that keep an Ingress as their own sources say, by the
// names under which they write. Source: metadata.managedFields of objects
// written by them.
func editors(ing *networkingv1.Ingress) []string {
	known := []struct{ prefix, name string }{
		{"kustomize-controller", "Flux (kustomize-controller)"},
		{"helm-controller", "Flux (helm-controller)"},
		{"Terraform", "Terraform"}, {"HashiCorp", "Terraform"}, {"terraform", "Terraform"},
		{"pulumi", "Pulumi"}, {"crossplane", "Crossplane"},
	}
	var out []string
	for _, m := range ing.ManagedFields {
		for _, k := range known {
			if strings.HasPrefix(m.Manager, k.prefix) && !slices.Contains(out, k.name) {
				out = append(out, k.name)
			}
		}
	}
	return out
}
