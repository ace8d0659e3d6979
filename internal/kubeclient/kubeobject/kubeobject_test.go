package kubeobject_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

func object(annotations, labels map[string]string) metav1.Object {
	return &metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: annotations, Labels: labels}
}

func TestNamesFitALabel(t *testing.T) {
	t.Parallel()
	if got := kubeobject.Name("web", "closed"); got != "noren-web-closed" {
		t.Errorf("got %s", got)
	}
	long := strings.Repeat("a", 80)
	one, two := kubeobject.Name(long, "closed"), kubeobject.Name(long+"b", "closed")
	if len(one) > 63 || one == two || !strings.HasSuffix(one, "-closed") {
		t.Errorf("got %s and %s", one, two)
	}
}

func TestMarkOn(t *testing.T) {
	t.Parallel()
	m, err := action.Mark{Params: json.RawMessage(`{}`),
		Receipt: action.Receipt{Run: "r-1", Step: "close-1", Action: "kube/ingress.patch", Target: "kube:prod/shop/ingress/web"}}.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.Text()
	if err != nil {
		t.Fatal(err)
	}
	got, marked := kubeobject.MarkOn(object(map[string]string{kubeclient.MarkAnnotation: text}, nil), "the target")
	if !marked || got.Wrong != "" || got.Mark.Receipt.Run != "r-1" || !kubeobject.SameReceipt(text, m.Receipt) {
		t.Errorf("read %+v", got)
	}
	got, marked = kubeobject.MarkOn(object(map[string]string{kubeclient.MarkAnnotation: text[:20]}, nil), "the target")
	if !marked || got.On != "the target" || got.Wrong == "" {
		t.Errorf("a truncated mark is read as %+v, want its target and what is wrong", got)
	}
	if got, marked := kubeobject.MarkOn(object(nil, nil), ""); marked {
		t.Errorf("no mark is read as %+v", got)
	}
}

type state struct {
	Spec map[string]any `json:"spec,omitempty"`
	Mark string         `json:"mark,omitempty"`
}

func TestDrifted(t *testing.T) {
	t.Parallel()
	a, b := &state{Spec: map[string]any{"port": 80}}, &state{Spec: map[string]any{"port": 81}}
	if !kubeobject.Same(a, &state{Spec: map[string]any{"port": 80.0}}) || kubeobject.Same(a, b) || kubeobject.Same(a, nil) || !kubeobject.Same[state](nil, nil) {
		t.Error("states are not compared by value")
	}
	for _, tt := range []struct {
		from, now *state
		says      string
	}{
		{a, b, "someone else changed spec.port"},
		{a, nil, "does not exist any more"},
		{nil, b, "exists already"},
	} {
		err := kubeobject.Drifted("ingress shop/web", tt.from, tt.now)
		if !errors.Is(err, action.ErrDrift) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v, want drift with %q", err, tt.says)
		}
	}
}
