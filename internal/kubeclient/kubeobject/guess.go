package kubeobject

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Team is the team that an object's labels name, "" if none.
func Team(o metav1.Object) string { return firstLabel(o, "team", "owner", "noren.dev/team") }

func firstLabel(o metav1.Object, keys ...string) string {
	for _, k := range keys {
		if v := o.GetLabels()[k]; v != "" {
			return v
		}
	}
	return ""
}

// ServiceName proposes a name for the service behind an object: that of the
// application where a label tells, else short, the object's own name without
// what says its kind; the namespace's where that says nothing. A name that is
// in taken gets the namespace in front; the name is added to taken.
func ServiceName(o metav1.Object, short string, taken map[string]bool) string {
	name := firstLabel(o, "app.kubernetes.io/name", "app", "k8s-app")
	if name == "" {
		name = short
	}
	if slices.Contains([]string{"ingress", "route", "alb", "main", "default", "public", "external"}, name) {
		name = o.GetNamespace()
	}
	if taken[name] {
		name = o.GetNamespace() + "-" + name
	}
	for base, n := name, 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	taken[name] = true
	return name
}

// LooksLikeAPI guesses from words in the name, labels and hosts.
func LooksLikeAPI(o metav1.Object, hosts []string) bool {
	words := []string{o.GetName()}
	for _, k := range []string{"app.kubernetes.io/name", "app.kubernetes.io/component", "app", "k8s-app", "tier"} {
		words = append(words, o.GetLabels()[k])
	}
	words = append(words, hosts...)
	isSeparator := func(r rune) bool { return strings.ContainsRune("-_./", r) }
	for _, w := range words {
		for _, token := range strings.FieldsFunc(strings.ToLower(w), isSeparator) {
			switch token {
			case "api", "apis", "gateway", "graphql", "grpc", "bff", "webhook", "webhooks":
				return true
			}
		}
	}
	return false
}
