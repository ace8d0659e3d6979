package argotest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/util/workqueue"
)

// ApplicationSets is the resource that the Sets controller works on.
var ApplicationSets = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applicationsets"}

// Sets is a FAKE of Argo CD's ApplicationSet controller. It imitates one thing,
// as read in the sources of Argo CD 3.5 (applicationset/utils/createOrUpdate.go,
// applicationset/controllers/applicationset_controller.go): whenever a set or an
// Application changes, it writes the template's syncPolicy and annotations over
// those of every Application that the set owns, except what
// ignoreApplicationDifferences names by JSON pointers. It makes no Application
// and evaluates no generator or template.
type Sets struct {
	Client    dynamic.Interface
	Namespace string
}

// Run works until ctx is done.
func (s *Sets) Run(ctx context.Context) error {
	queue := workqueue.NewTyped[string]()
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(s.Client, 0, s.Namespace, nil)
	for _, gvr := range []schema.GroupVersionResource{Applications, ApplicationSets} {
		if err := onEvent(factory.ForResource(gvr).Informer(), func(string) { queue.Add("look") }); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	stop := context.AfterFunc(ctx, queue.ShutDown)
	defer stop()
	for {
		key, down := queue.Get()
		if down {
			return nil
		}
		err := s.look(ctx)
		queue.Done(key)
		switch {
		case apierrors.IsConflict(err):
			queue.Add(key)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("argotest: ApplicationSets: %w", err)
		}
	}
}

// look reconciles every Application that a set owns. The Application is read
// before its set, and written only as it was read: what was written to the set
// before the Application is heeded.
func (s *Sets) look(ctx context.Context) error {
	apps, err := s.Client.Resource(Applications).Namespace(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, app := range apps.Items {
		for _, owner := range app.GetOwnerReferences() {
			if owner.Kind != "ApplicationSet" {
				continue
			}
			set, err := s.Client.Resource(ApplicationSets).Namespace(app.GetNamespace()).Get(ctx, owner.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if err := s.write(ctx, set, &app); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Sets) write(ctx context.Context, set, app *unstructured.Unstructured) error {
	ignored := ignoredPointers(set, app.GetName())
	annotations := map[string]any{}
	want, _, _ := unstructured.NestedStringMap(set.Object, "spec", "template", "metadata", "annotations")
	for key := range app.GetAnnotations() {
		_, kept := want[key]
		if !kept && key != RefreshAnnotation && !slices.Contains(ignored, "/metadata/annotations/"+escaped(key)) {
			annotations[key] = nil
		}
	}
	patch := map[string]any{"metadata": map[string]any{"annotations": annotations, "resourceVersion": app.GetResourceVersion()}}
	policy, _ := field(set, "spec", "template", "spec", "syncPolicy")
	now, _ := field(app, "spec", "syncPolicy")
	differs := !slices.Contains(ignored, "/spec/syncPolicy") && !reflect.DeepEqual(policy, now)
	if differs {
		patch["spec"] = map[string]any{"syncPolicy": replacing(now, policy)}
	}
	if !differs && len(annotations) == 0 {
		return nil
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = s.Client.Resource(Applications).Namespace(app.GetNamespace()).Patch(ctx, app.GetName(), types.MergePatchType, raw,
		metav1.PatchOptions{FieldManager: "argocd-applicationset-controller"})
	return err
}

// replacing is the merge patch that makes want of now.
func replacing(now, want any) any {
	was, okWas := now.(map[string]any)
	will, okWill := want.(map[string]any)
	if !okWas || !okWill {
		return want
	}
	patch := maps.Clone(will)
	for k, v := range was {
		next, stays := will[k]
		if !stays {
			patch[k] = nil
		} else {
			patch[k] = replacing(v, next)
		}
	}
	return patch
}

func ignoredPointers(set *unstructured.Unstructured, app string) []string {
	entries, _, _ := unstructured.NestedSlice(set.Object, "spec", "ignoreApplicationDifferences")
	var pointers []string
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		if name, _ := entry["name"].(string); name == "" || name == app {
			some, _, _ := unstructured.NestedStringSlice(entry, "jsonPointers")
			pointers = append(pointers, some...)
		}
	}
	return pointers
}

func escaped(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
