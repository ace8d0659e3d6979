package lbc

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// A Class is an IngressClass with what its IngressClassParams say.
// Source: pkg/ingress/class_loader.go, apis/elbv2/v1beta1/ingressclassparams_types.go.
type Class struct {
	Name       string
	Controller string
	// HasParams is set where the class refers to IngressClassParams.
	HasParams       bool
	Group           string   // spec.group.name: overrides the annotation
	CertificateARNs []string // spec.certificateArn: overrides the annotation
	SSLRedirectPort string   // spec.sslRedirectPort: overrides the annotation
	// Broken says why the parameters cannot be read, "" if they can.
	Broken string
}

func (c Class) ours() bool { return c.Controller == ControllerLBC || c.Controller == ControllerEKS }

// Classes are the IngressClasses of a cluster. Default is the name of the one
// marked as default, "" if none is.
type Classes struct {
	ByName  map[string]Class
	Default string
}

// Of returns the class of an Ingress and whether a controller that this
// package knows makes its rules real. The legacy annotation comes before the
// field; without both, the default class counts, and without that, the
// finalizer that the controller left (its flag --ingress-class="" makes it take
// Ingresses without any class). Source: pkg/ingress/group_loader.go
// classifyIngress, class_annotation_matcher.go.
func (c Classes) Of(ing *networkingv1.Ingress) (Class, bool) {
	if name, ok := ing.Annotations[ClassAnnotation]; ok {
		if name != "alb" {
			return Class{Name: name}, false
		}
		return Class{Name: name, Controller: ControllerLBC}, true
	}
	name := c.Default
	if ing.Spec.IngressClassName != nil {
		name = *ing.Spec.IngressClassName
	}
	if name == "" {
		return Class{Controller: ControllerLBC}, Finalized(ing)
	}
	class, known := c.ByName[name]
	if !known {
		return Class{Name: name}, false
	}
	return class, class.ours()
}

// Finalized tells whether the controller has put its finalizer on the Ingress.
func Finalized(ing *networkingv1.Ingress) bool {
	return slices.ContainsFunc(ing.Finalizers, func(f string) bool {
		return f == ImplicitFinalizer || strings.HasPrefix(f, GroupFinalizer)
	})
}

// A Group is what shares one load balancer. Either Name is set (explicit), or
// Only, the one member's "namespace/name" (implicit).
type Group struct {
	Controller string
	Name       string
	Only       string
}

// Explicit tells whether other Ingresses can join the group.
func (g Group) Explicit() bool { return g.Name != "" }

func (g Group) String() string {
	if g.Explicit() {
		return "group " + g.Name
	}
	return "ingress " + g.Only + " alone"
}

// ErrUnmanaged means that no controller that this package knows manages it.
var ErrUnmanaged = errors.New("not managed by the AWS Load Balancer Controller")

var groupForm = regexp.MustCompile(`^([a-z0-9][-a-z0-9.]*)?[a-z0-9]$`)

// Group returns the group of an Ingress. The class's parameters come before
// the annotation; EKS Auto Mode knows no group annotation.
// Source: pkg/ingress/group_loader.go loadGroupID, validateGroupName.
func (c Classes) Group(ing *networkingv1.Ingress) (Group, error) {
	class, ours := c.Of(ing)
	if !ours {
		return Group{}, ErrUnmanaged
	}
	if class.Broken != "" {
		return Group{}, fmt.Errorf("class %s: %s", class.Name, class.Broken)
	}
	name, explicit := ing.Annotations[GroupName]
	if class.Controller == ControllerEKS {
		name, explicit = "", false
	}
	if class.Group != "" {
		name, explicit = class.Group, true
	}
	if !explicit {
		return Group{Controller: class.Controller, Only: Key(ing)}, nil
	}
	if len(name) > maxGroupName || !groupForm.MatchString(name) {
		return Group{}, fmt.Errorf("invalid group name %q: at most %d of a-z, 0-9, - and ., beginning and ending with a letter or digit", name, maxGroupName)
	}
	return Group{Controller: class.Controller, Name: name}, nil
}

// Members returns the members of a group in the order of their rules. An
// Ingress under deletion has left it. Source: pkg/ingress/group_loader.go Load,
// loadGroupIDIfAnyHelper.
func (c Classes) Members(all []*networkingv1.Ingress, g Group) []*networkingv1.Ingress {
	var members []*networkingv1.Ingress
	for _, ing := range all {
		if ing.DeletionTimestamp != nil {
			continue
		}
		if of, err := c.Group(ing); err == nil && of == g {
			members = append(members, ing)
		}
	}
	return sorted(members)
}

// Groups are all groups with their members, each as Members returns them.
func (c Classes) Groups(all []*networkingv1.Ingress) map[Group][]*networkingv1.Ingress {
	groups := map[Group][]*networkingv1.Ingress{}
	for _, ing := range all {
		if ing.DeletionTimestamp != nil {
			continue
		}
		if g, err := c.Group(ing); err == nil {
			groups[g] = append(groups[g], ing)
		}
	}
	for g := range groups {
		groups[g] = sorted(groups[g])
	}
	return groups
}

// Order returns the group.order of an Ingress, 0 by default.
func Order(ing *networkingv1.Ingress) (int, error) {
	raw, ok := ing.Annotations[GroupOrder]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(raw, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group.order %q is not a whole number", raw)
	}
	if n < MinOrder || n > MaxOrder {
		return 0, fmt.Errorf("group.order %d is not within %d to %d", n, MinOrder, MaxOrder)
	}
	return int(n), nil
}

// sorted orders by group.order, then by "namespace/name". Source:
// pkg/ingress/group_loader.go sortGroupMembers.
func sorted(members []*networkingv1.Ingress) []*networkingv1.Ingress {
	out := slices.Clone(members)
	slices.SortStableFunc(out, func(a, b *networkingv1.Ingress) int {
		x, _ := Order(a)
		y, _ := Order(b)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(Key(a), Key(b)))
	})
	return out
}

// Key is "namespace/name".
func Key(ing *networkingv1.Ingress) string { return ing.Namespace + "/" + ing.Name }
