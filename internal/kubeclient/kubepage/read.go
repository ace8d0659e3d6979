package kubepage

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/page"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Selector finds the ConfigMaps that hold pages.
const Selector = pageapi.Label + "=" + pageapi.LabelValue

// List reads the pages of a namespace, or of all if it is "". What is no page
// is left out; the page server says so in its log.
func List(ctx context.Context, client *kubeclient.Client, namespace string) ([]pageapi.Page, error) {
	list, err := client.Typed.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: Selector})
	if err != nil {
		return nil, kubeclient.Classify(err, "list the pages of namespace "+namespace)
	}
	var pages []pageapi.Page
	for i := range list.Items {
		if p, err := parse(&list.Items[i]); err == nil {
			pages = append(pages, p)
		}
	}
	return pages, nil
}

func parse(cm *corev1.ConfigMap) (pageapi.Page, error) {
	p, err := pageapi.Parse(filesOf(cm), func(body string) string {
		mark, _ := page.MarkIn([]byte(body))
		return mark
	})
	if err != nil {
		return p, fmt.Errorf("configmap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	return p, nil
}

// Traces adds the marks on the pages that the driver of target put there. One
// that does not say whose it is may be anybody's.
func Traces(ctx context.Context, client *kubeclient.Client, target func(namespace, kind, name string) string, found *driver.Traces) error {
	list, err := client.Typed.CoreV1().ConfigMaps(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: Selector})
	if err != nil {
		return kubeclient.Classify(err, "list the pages of all namespaces")
	}
	own := 0
	for i := range list.Items {
		cm := &list.Items[i]
		on := target(cm.Namespace, "configmap", cm.Name)
		m, marked := kubeobject.MarkOn(cm, on)
		if by := m.Mark.Receipt.Target; by != "" && system(by) != system(on) {
			continue
		}
		own++
		if marked {
			found.Marks = append(found.Marks, m)
		}
	}
	if own > 0 {
		found.Seen = append(found.Seen, driver.Seen{Kind: "pages", Count: own})
	}
	return nil
}

// system is the driver's name, with which a target begins.
func system(target string) string {
	name, _, _ := strings.Cut(target, ":")
	return name
}
