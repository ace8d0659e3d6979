package kubepage

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Source is the pages in the ConfigMaps of a namespace, watched. It needs to
// get, list and watch configmaps there, and nothing else. While the API server
// does not answer, what is known stays known.
type Source struct {
	Client    *kubeclient.Client
	Namespace string
	Logger    *slog.Logger
}

// Watch calls set with all pages at first and after every change.
func (s Source) Watch(ctx context.Context, set func([]pageapi.Page)) error {
	return s.Client.WatchConfigMaps(ctx, s.Namespace, Selector, func(err error) {
		s.Logger.Warn("pages cannot be read; those known are served", "error", err)
	}, func(all []*corev1.ConfigMap) { set(s.pages(all)) })
}

// pages are those of the ConfigMaps, the newest first: where two are for the
// same requests, the later closing's is served.
func (s Source) pages(all []*corev1.ConfigMap) []pageapi.Page {
	slices.SortFunc(all, func(a, b *corev1.ConfigMap) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	var pages []pageapi.Page
	for _, cm := range all {
		p, err := parse(cm)
		if err != nil {
			s.Logger.Error("page cannot be served", "error", err)
			continue
		}
		pages = append(pages, p)
	}
	return pages
}

// namespaceFile is where a pod finds its own namespace.
// Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// OwnNamespace is the namespace of the pod that this process runs in.
func OwnNamespace() (string, error) {
	raw, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", &fault.Fault{Code: fault.Invalid, Summary: "namespace is not known", Err: err,
			Detail: "This is no pod of Kubernetes, so the namespace whose pages are to be served must be named, or a directory of pages.",
			Try:    []string{"noren page serve --namespace shop", "noren page serve --dir pages"}}
	}
	return strings.TrimSpace(string(raw)), nil
}
