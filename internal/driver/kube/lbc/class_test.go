package lbc_test

import (
	"errors"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
)

// TestGroup says which Ingresses share a load balancer, with sources in
// pkg/ingress/group_loader.go, class_loader.go and class_annotation_matcher.go
// of the controller's repository at 225f445.
func TestGroup(t *testing.T) {
	class := func(name string) *string { return &name }
	implicit := lbc.Group{Controller: lbc.ControllerLBC, Only: "shop/web"}
	for _, c := range []struct {
		name, source string
		ing          networkingv1.Ingress
		byDefault    string
		want         lbc.Group
		unmanaged    bool
		broken       bool
	}{
		{name: "class, no group: alone", source: "loadGroupID", ing: networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: class("alb")}}, want: implicit},
		{name: "group.name annotation", source: "loadGroupID",
			ing:  networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{lbc.GroupName: "shared"}}, Spec: networkingv1.IngressSpec{IngressClassName: class("alb")}},
			want: lbc.Group{Controller: lbc.ControllerLBC, Name: "shared"}},
		{name: "the class's group comes before the annotation", source: "loadGroupID (IngClassParams.Spec.Group)",
			ing:  networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{lbc.GroupName: "mine"}}, Spec: networkingv1.IngressSpec{IngressClassName: class("auto")}},
			want: lbc.Group{Controller: lbc.ControllerEKS, Name: "auto-shared"}},
		{name: "EKS Auto Mode knows no group annotation", source: "docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html",
			ing:  networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{lbc.GroupName: "mine"}}, Spec: networkingv1.IngressSpec{IngressClassName: class("eks")}},
			want: lbc.Group{Controller: lbc.ControllerEKS, Only: "shop/web"}},
		{name: "the legacy annotation alb, before the class", source: "classifyIngress, defaultClassAnnotationMatcher.Matches",
			ing:  networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{lbc.ClassAnnotation: "alb"}}, Spec: networkingv1.IngressSpec{IngressClassName: class("nginx")}},
			want: implicit},
		{name: "the legacy annotation of another controller", source: "classifyIngress",
			ing:       networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{lbc.ClassAnnotation: "nginx"}}, Spec: networkingv1.IngressSpec{IngressClassName: class("alb")}},
			unmanaged: true},
		{name: "class of another controller", source: "classifyIngress", ing: networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: class("nginx")}}, unmanaged: true},
		{name: "class that does not exist", source: "defaultClassLoader.Load ErrInvalidIngressClass", ing: networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: class("lost")}}, unmanaged: true},
		{name: "no class: the default one", source: "defaultClassLoader.GetDefaultIngressClass", byDefault: "alb", want: implicit},
		{name: "no class at all", source: "manageIngressesWithoutIngressClass is false with the chart's --ingress-class=alb", unmanaged: true},
		{name: "no class, but the controller's finalizer", source: "manageIngressesWithoutIngressClass, pkg/shared_constants/finalizers.go",
			ing: networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{lbc.ImplicitFinalizer}}}, want: implicit},
		{name: "an invalid group name", source: "validateGroupName", broken: true,
			ing: networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{lbc.GroupName: "Shared_1"}}, Spec: networkingv1.IngressSpec{IngressClassName: class("alb")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.ing.Namespace, c.ing.Name = "shop", "web"
			all := classes()
			all.Default = c.byDefault
			got, err := all.Group(&c.ing)
			switch {
			case c.unmanaged != errors.Is(err, lbc.ErrUnmanaged):
				t.Errorf("error %v, unmanaged should be %t (%s)", err, c.unmanaged, c.source)
			case c.broken && err == nil:
				t.Errorf("no error (%s)", c.source)
			case !c.broken && !c.unmanaged && (err != nil || got != c.want):
				t.Errorf("group %+v (%v), want %+v (%s)", got, err, c.want, c.source)
			}
		})
	}
}

// TestMembers: an Ingress under deletion has left its group at once.
// Source: pkg/ingress/group_loader.go loadGroupIDIfAnyHelper.
func TestMembers(t *testing.T) {
	all := parse(t, "name: b/two\na: {group.name: g}\n---\nname: a/one\na: {group.name: g}\n---\nname: a/gone\na: {group.name: g}\n---\nname: a/alone\n")
	now := metav1.Now()
	all[2].DeletionTimestamp = &now
	var keys []string
	for _, m := range classes().Members(all, lbc.Group{Controller: lbc.ControllerLBC, Name: "g"}) {
		keys = append(keys, lbc.Key(m))
	}
	if len(keys) != 2 || keys[0] != "a/one" || keys[1] != "b/two" {
		t.Errorf("members %q, want a/one and b/two", keys)
	}
}
