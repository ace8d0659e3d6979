package kube

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// marked puts an overlay with a mark into the scene's namespace.
func marked(t *testing.T, s scene) (target string) {
	t.Helper()
	_, rules := pagePieces(t, "shop.example.com")
	class := "alb"
	o, err := openOverlay(s.conn, OverlayParams{Namespace: s.namespace, Name: "noren-web-closed", Labels: map[string]string{ManagedBy: "noren"},
		Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: rules}})
	must(t, err)
	in := driver.Bare(o)
	to, err := in.Change.Propose(action.State{})
	must(t, err)
	mark, err := action.Mark{Receipt: action.Receipt{Run: "run-1", Step: "close-1", Action: ActionOverlay, Target: in.Target, To: to},
		Params: json.RawMessage(`{}`), Actor: "me@here"}.Sealed()
	must(t, err)
	must(t, in.Marker.Marked(mark).Apply(t.Context(), action.State{}, to))
	return in.Target
}

// annotate changes an annotation as a colleague does; "" removes it.
func annotate(t *testing.T, s scene, name, key string, change func(string) string) {
	t.Helper()
	api := s.conn.client.Typed.NetworkingV1().Ingresses(s.namespace)
	ing, err := api.Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	value := change(ing.Annotations[key])
	if ing.Annotations == nil {
		ing.Annotations = map[string]string{}
	}
	if ing.Annotations[key] = value; value == "" {
		delete(ing.Annotations, key)
	}
	_, err = api.Update(t.Context(), ing, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	must(t, err)
}

// here are the traces in the scene's namespace.
func (s scene) here(t *testing.T) (marks []driver.FoundMark, unmarked []driver.Unmarked) {
	t.Helper()
	found, err := findTraces(t.Context(), s.conn)
	must(t, err)
	if len(found.Seen) == 0 || found.Seen[0].Kind != "Ingresses" || found.Seen[0].Count == 0 {
		t.Errorf("seen %+v", found.Seen)
	}
	for _, m := range found.Marks {
		if strings.Contains(m.On, "/"+s.namespace+"/") || strings.Contains(m.On, ":"+s.namespace+"/") {
			marks = append(marks, m)
		}
	}
	for _, u := range found.Unmarked {
		if strings.Contains(u.Target, s.namespace+"/") {
			unmarked = append(unmarked, u)
		}
	}
	return marks, unmarked
}

func TestTracesOfMarks(t *testing.T) {
	s := newScene(t)
	target := marked(t, s)
	marks, unmarked := s.here(t)
	if len(marks) != 1 || len(unmarked) != 0 || marks[0].On != target || marks[0].Wrong != "" || marks[0].Mark.Receipt.Run != "run-1" || marks[0].Mark.Actor != "me@here" {
		t.Fatalf("marks %+v, unmarked %+v", marks, unmarked)
	}
	annotate(t, s, "noren-web-closed", MarkAnnotation, func(m string) string { return strings.Replace(m, "me@here", "you@there", 1) })
	if marks, _ := s.here(t); len(marks) != 1 || !strings.Contains(marks[0].Wrong, "changed by hand") || marks[0].Mark.Receipt.Run != "run-1" {
		t.Errorf("an edited mark: %+v", marks)
	}
	annotate(t, s, "noren-web-closed", MarkAnnotation, func(m string) string { return m[:len(m)/2] })
	if marks, _ := s.here(t); len(marks) != 1 || !strings.Contains(marks[0].Wrong, "broken off") {
		t.Errorf("a truncated mark: %+v", marks)
	}
	annotate(t, s, "noren-web-closed", MarkAnnotation, func(string) string { return "" })
	if marks, unmarked := s.here(t); len(marks) != 0 || len(unmarked) != 1 || !unmarked[0].Ours || !strings.Contains(unmarked[0].Advice[1], "delete ingress noren-web-closed") {
		t.Errorf("without its mark: %+v %+v", marks, unmarked)
	}
}

func TestTracesOfOthersPages(t *testing.T) {
	s := newScene(t)
	s.apply(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: theirs
  namespace: NS
  annotations:
    alb.ingress.kubernetes.io/actions.down: '{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/plain","statusCode":"503","messageBody":"down"}}'
    alb.ingress.kubernetes.io/actions.unused: '{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503"}}'
spec:
  rules:
    - host: shop.example.com
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: down, port: {name: use-annotation}}}}
`)
	_, unmarked := s.here(t)
	if len(unmarked) != 1 || unmarked[0].Ours || !strings.Contains(unmarked[0].What, "(down)") || unmarked[0].By == "" || unmarked[0].Since.IsZero() {
		t.Errorf("got %+v", unmarked)
	}
}

func TestMarkThatDoesNotFit(t *testing.T) {
	s := newScene(t)
	s.apply(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NS}
spec:
  rules:
    - host: shop.example.com
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
`)
	p, err := openPatch(s.conn, PatchParams{Namespace: s.namespace, Name: "web"})
	must(t, err)
	in := driver.Bare(p)
	m := action.Mark{Receipt: action.Receipt{Run: "run-1", Step: "close-1"}}
	annotate(t, s, "web", "example.com/large", func(string) string { return strings.Repeat("x", 256<<10-100) })
	err = in.Marker.Fits(t.Context(), m)
	if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "262144 in all") {
		t.Errorf("got %v, want that the mark does not fit", err)
	}
}
