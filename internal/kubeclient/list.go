package kubeclient

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/pager"
)

// EachListed shows see every object that api lists, page by page, so that a large
// cluster is never in memory at once.
func EachListed(ctx context.Context, api dynamic.ResourceInterface, see func(*unstructured.Unstructured)) error {
	pages := pager.New(func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, opts) })
	return pages.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		see(o.(*unstructured.Unstructured))
		return nil
	})
}
