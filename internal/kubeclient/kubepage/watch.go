package kubepage

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

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
	factory := informers.NewSharedInformerFactoryWithOptions(s.Client.Typed, 0, informers.WithNamespace(s.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = Selector }))
	informer := factory.Core().V1().ConfigMaps().Informer()
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		s.Logger.Warn("pages cannot be read; those known are served", "error", err)
	})
	if err != nil {
		return fmt.Errorf("watch pages: %w", err)
	}
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(_, _ any) { tell() }, DeleteFunc: func(any) { tell() },
	})
	if err != nil {
		return fmt.Errorf("watch pages: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil // the server is stopping
	}
	for {
		set(s.pages(informer.GetStore().List()))
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// pages are those of the ConfigMaps, the newest first: where two are for the
// same requests, the later closing's is served.
func (s Source) pages(objects []any) []pageapi.Page {
	var all []*corev1.ConfigMap
	for _, o := range objects {
		if cm, ok := o.(*corev1.ConfigMap); ok && cm.DeletionTimestamp == nil {
			all = append(all, cm)
		}
	}
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
