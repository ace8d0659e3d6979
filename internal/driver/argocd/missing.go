package argocd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/fault"
)

// missing is the error of an Application that does not exist. Most often it is
// there, in another namespace than the catalog says: elsewhere lists those.
func (t target) missing(elsewhere ...string) *fault.Fault {
	f := &fault.Fault{Code: fault.NotFound, Summary: "Application does not exist",
		Detail: fmt.Sprintf("There is no Argo CD Application %s in namespace %s of environment %s.", t.ref.Name, t.ref.Namespace, t.conn.env),
		Try:    []string{"kubectl get applications.argoproj.io --all-namespaces"}}
	switch len(elsewhere) {
	case 0:
		f.Detail += " Argo CD may keep its Applications in another cluster than the one it deploys to: the section argocd takes a kubeconfig and a context of its own."
	case 1:
		f.Detail += fmt.Sprintf(" There is one of that name in namespace %s. If Argo CD runs there, say so in noren.yaml.", elsewhere[0])
		f.Try = []string{"argocd: {namespace: " + elsewhere[0] + "}"}
	default:
		f.Detail += fmt.Sprintf(" There are some of that name in the namespaces %s: the section argocd says in which Argo CD runs.", strings.Join(elsewhere, ", "))
	}
	return f
}

// elsewhere lists the namespaces with an Application of the same name, none
// where that may not be asked.
func (t target) elsewhere(ctx context.Context) []string {
	list, err := t.conn.client.Dynamic.Resource(applications).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + t.ref.Name})
	if err != nil {
		return nil
	}
	var namespaces []string
	for _, u := range list.Items {
		namespaces = append(namespaces, u.GetNamespace())
	}
	slices.Sort(namespaces)
	return namespaces
}
