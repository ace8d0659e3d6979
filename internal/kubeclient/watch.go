package kubeclient

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// WatchConfigMaps calls set with the ConfigMaps of a namespace that a label
// selector chooses, but for those being deleted, once they are known and
// whenever they change, until ctx ends. While the API server cannot be asked,
// complain is told and what is known stays known.
func (c *Client) WatchConfigMaps(ctx context.Context, namespace, selector string, complain func(error), set func([]*corev1.ConfigMap)) error {
	factory := informers.NewSharedInformerFactoryWithOptions(c.Typed, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = selector }))
	informer := factory.Core().V1().ConfigMaps().Informer()
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { complain(err) })
	if err != nil {
		return fmt.Errorf("watch configmaps: %w", err)
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
		return fmt.Errorf("watch configmaps: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil // whoever watches is stopping
	}
	for {
		var all []*corev1.ConfigMap
		for _, o := range informer.GetStore().List() {
			if cm, ok := o.(*corev1.ConfigMap); ok && cm.DeletionTimestamp == nil {
				all = append(all, cm)
			}
		}
		set(all)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
