package kubeclient

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
)

// Grant is the smallest RBAC YAML that gives identity the permissions: a Role
// with its binding for each namespace, a ClusterRole with its binding for what
// is needed in every namespace, all of that name: applying roles of one name
// after another replaces the first.
// Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
func Grant(name, identity string, need []action.Permission) string {
	byNamespace := map[string][]action.Permission{}
	for _, p := range need {
		byNamespace[p.Namespace] = append(byNamespace[p.Namespace], p)
	}
	var documents []string
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		documents = append(documents, role(name, namespace, byNamespace[namespace]), binding(name, identity, namespace))
	}
	return strings.Join(documents, "---\n")
}

func role(name, namespace string, need []action.Permission) string {
	var b strings.Builder
	kind, in := "ClusterRole", ""
	if namespace != "" {
		kind, in = "Role", ", namespace: "+namespace
	}
	fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: {name: %s%s}\nrules:\n", kind, name, in)
	for _, r := range rules(need) {
		fmt.Fprintf(&b, "- apiGroups: [%q]\n  resources: [%q]\n", r.group, r.resource)
		if r.name != "" {
			fmt.Fprintf(&b, "  resourceNames: [%q]\n", r.name)
		}
		fmt.Fprintf(&b, "  verbs: [%s]\n", strings.Join(quoted(r.verbs), ", "))
	}
	return b.String()
}

func binding(name, identity, namespace string) string {
	kind, of, in := "ClusterRoleBinding", "ClusterRole", ""
	if namespace != "" {
		kind, of, in = "RoleBinding", "Role", ", namespace: "+namespace
	}
	return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: {name: %s%s}\n"+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\nsubjects:\n- %s\n",
		kind, name, in, of, name, subject(identity))
}

// subject tells a service account's user name from a person's.
// Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens
func subject(identity string) string {
	if rest, ok := strings.CutPrefix(identity, "system:serviceaccount:"); ok {
		if namespace, name, ok := strings.Cut(rest, ":"); ok {
			return fmt.Sprintf("{kind: ServiceAccount, name: %s, namespace: %s}", name, namespace)
		}
	}
	return fmt.Sprintf("{apiGroup: rbac.authorization.k8s.io, kind: User, name: %q}", identity)
}

type rbacRule struct {
	group, resource, name string
	verbs                 []string
}

func rules(need []action.Permission) []rbacRule {
	byObject := map[rbacKey]map[string]bool{}
	for _, p := range need {
		group, resource := splitResource(p.Resource)
		key := rbacKey{group, resource, ruleName(p)}
		if byObject[key] == nil {
			byObject[key] = map[string]bool{}
		}
		byObject[key][p.Verb] = true
	}
	var out []rbacRule
	for key, verbs := range byObject {
		out = append(out, rbacRule{key.group, key.resource, key.name, slices.Sorted(maps.Keys(verbs))})
	}
	slices.SortFunc(out, func(a, b rbacRule) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource), cmp.Compare(a.name, b.name))
	})
	return out
}

type rbacKey struct{ group, resource, name string }

// ruleName is the object's name where a rule can be limited to it: create and
// list cannot. Source: RBAC documentation, "Referring to resources".
func ruleName(p action.Permission) string {
	if p.Verb == "create" || p.Verb == "list" {
		return ""
	}
	return p.Name
}

// splitResource splits "ingresses.networking.k8s.io/status" into its API group
// and "ingresses/status".
func splitResource(resource string) (group, plural string) {
	resource, sub, has := strings.Cut(resource, "/")
	plural, group, _ = strings.Cut(resource, ".")
	if has {
		plural += "/" + sub
	}
	return group, plural
}

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return out
}
