package gatewayapi

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// TestTraces finds a mark, and the same object where somebody took the mark off.
func TestTraces(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := envoyGateway()
	p, err := m.answerParams(s.namespace, "noren-web-closed", m.spec(closedPage, false))
	must(t, err)
	typed, err := openAnswer(s.conn, p)
	must(t, err)
	in := driver.Bare(typed)
	to, err := in.Change.Propose(action.State{})
	must(t, err)
	mark, err := action.Mark{Receipt: action.Receipt{Run: "run-1", Step: "close-1", Action: actionAnswer, Target: in.Target, To: to},
		Params: json.RawMessage(`{}`), Actor: "me@here"}.Sealed()
	must(t, err)
	must(t, in.Marker.Marked(mark).Apply(t.Context(), action.State{}, to))

	marks, unmarked := s.here(t)
	if len(marks) != 1 || marks[0].On != in.Target || marks[0].Wrong != "" || marks[0].Mark.Receipt.Run != "run-1" || len(unmarked) != 0 {
		t.Errorf("marks %+v, unmarked %+v", marks, unmarked)
	}
	s.edit(t, m.resource, "noren-web-closed", func(u *unstructured.Unstructured) {
		u.SetAnnotations(map[string]string{kubeclient.MarkAnnotation: "{"})
	})
	if marks, _ = s.here(t); len(marks) != 1 || marks[0].Wrong == "" {
		t.Errorf("a mark that is broken off is read as %+v", marks)
	}
	s.edit(t, m.resource, "noren-web-closed", func(u *unstructured.Unstructured) { u.SetAnnotations(nil) })
	if marks, unmarked = s.here(t); len(marks) != 0 || len(unmarked) != 1 || unmarked[0].Target != in.Target || !unmarked[0].Ours {
		t.Errorf("without the mark: marks %+v, unmarked %+v", marks, unmarked)
	}
}

// here are the traces in the scene's namespace.
func (s scene) here(t *testing.T) (marks []driver.FoundMark, unmarked []driver.Unmarked) {
	t.Helper()
	found, err := findTraces(t.Context(), s.conn)
	must(t, err)
	if len(found.Seen) == 0 {
		t.Error("nothing was looked at")
	}
	for _, m := range found.Marks {
		if strings.Contains(m.On, "/"+s.namespace+"/") {
			marks = append(marks, m)
		}
	}
	for _, u := range found.Unmarked {
		if strings.Contains(u.Target, "/"+s.namespace+"/") {
			unmarked = append(unmarked, u)
		}
	}
	return marks, unmarked
}

// TestAMarkThatDoesNotFitIsRefused beside the annotations that are there.
func TestAMarkThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.apply(t, webVirtualService)
	typed, err := openVirtualService(s.conn, InsertParams{Namespace: s.namespace, Name: "web"})
	must(t, err)
	fits := func() error { return driver.Bare(typed).Marker.Fits(t.Context(), action.Mark{Actor: "me@here"}) }
	must(t, fits())
	s.edit(t, virtualServices(), "web", func(u *unstructured.Unstructured) {
		u.SetAnnotations(map[string]string{"notes": strings.Repeat("x", 256<<10-64)})
	})
	if fits() == nil {
		t.Error("no room is left for the mark, and it is taken to fit")
	}
}
