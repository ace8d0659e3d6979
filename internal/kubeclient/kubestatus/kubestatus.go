// Package kubestatus keeps a status document (package appstatus) in a ConfigMap,
// from which noren's page server serves it: the driver writes, the server
// watches. The marks of closings are beside the document, under another key that
// nobody serves; both are written at once.
package kubestatus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// The ConfigMap: a label by which servers find it, and its keys.
const (
	Label       = "noren.dev/app-status"
	LabelValue  = "v1"
	keyDocument = "app-status.json"
	keyMarks    = "marks.json"
	managedBy   = "app.kubernetes.io/managed-by"
)

// A Ref names a ConfigMap.
type Ref struct{ Namespace, Name string }

func (r Ref) String() string { return "configmap " + r.Namespace + "/" + r.Name }

// Content is what a ConfigMap holds.
type Content struct {
	Document []byte // nil: there is none
	Marks    map[string]string

	object *corev1.ConfigMap // as it was read; nil: it was not there
}

// Requires are the permissions that reading and writing need.
func (r Ref) Requires(system string) []action.Permission {
	own := func(verb string) action.Permission {
		return action.Permission{System: system, Verb: verb, Resource: "configmaps", Namespace: r.Namespace, Why: "tell apps what is closed"}
	}
	return []action.Permission{own("get"), own("create"), own("update")}
}

// Read reads a ConfigMap. One that is not there has no content.
func Read(ctx context.Context, client *kubeclient.Client, r Ref) (Content, error) {
	cm, err := client.Typed.CoreV1().ConfigMaps(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Content{Marks: map[string]string{}}, nil
	}
	if err != nil {
		return Content{}, kubeclient.Classify(err, "read "+r.String())
	}
	c := Content{Marks: map[string]string{}, object: cm}
	if text, ok := cm.Data[keyDocument]; ok {
		c.Document = []byte(text)
	}
	if text := cm.Data[keyMarks]; text != "" {
		if err := json.Unmarshal([]byte(text), &c.Marks); err != nil {
			return Content{}, fmt.Errorf("marks in %s: %w", r, err)
		}
	}
	return c, nil
}

// Write writes what was read, changed: provided that nobody else has written
// meanwhile, of which the error wraps action.ErrUnavailable.
func Write(ctx context.Context, client *kubeclient.Client, r Ref, c Content) error {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name}}
	if c.object != nil {
		cm = c.object.DeepCopy()
	}
	if cm.Labels == nil {
		cm.Labels = map[string]string{managedBy: kubeclient.FieldManager}
	}
	cm.Labels[Label] = LabelValue
	data := maps.Clone(cm.Data)
	if data == nil {
		data = map[string]string{}
	}
	data[keyDocument] = string(c.Document)
	delete(data, keyMarks)
	if len(c.Marks) > 0 {
		raw, err := json.Marshal(c.Marks)
		if err != nil {
			return fmt.Errorf("marks in %s: %w", r, err)
		}
		data[keyMarks] = string(raw)
	}
	cm.Data = data
	var err error
	objects := client.Typed.CoreV1().ConfigMaps(r.Namespace)
	if c.object == nil {
		if _, err = objects.Create(ctx, cm, metav1.CreateOptions{FieldManager: kubeclient.FieldManager}); apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s: it came into being at the same moment: %w", r, action.ErrUnavailable)
		}
	} else {
		_, err = objects.Update(ctx, cm, metav1.UpdateOptions{FieldManager: kubeclient.FieldManager})
	}
	return kubeclient.Classify(err, "write "+r.String())
}

// A Source is the status document among the ConfigMaps of a namespace.
type Source struct {
	Client    *kubeclient.Client
	Namespace string
	Logger    *slog.Logger
}

// Watch calls set with the document whenever it may have changed, until ctx
// ends, nil where there is none. Of several, the first by name counts.
func (s Source) Watch(ctx context.Context, set func([]byte)) error {
	return s.Client.WatchConfigMaps(ctx, s.Namespace, Label+"="+LabelValue, func(err error) {
		s.Logger.Warn("status document cannot be read; the one known is served", "error", err)
	}, func(all []*corev1.ConfigMap) {
		slices.SortFunc(all, func(a, b *corev1.ConfigMap) int { return strings.Compare(a.Name, b.Name) })
		if len(all) == 0 {
			set(nil)
			return
		}
		if len(all) > 1 {
			s.Logger.Warn("several status documents; the first is served", "namespace", s.Namespace, "configmap", all[0].Name)
		}
		set([]byte(all[0].Data[keyDocument]))
	})
}
