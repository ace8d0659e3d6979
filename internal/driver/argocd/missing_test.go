package argocd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testkube"
)

// TestMissingSaysWhereItIs: an Application that the catalog looks for in the
// wrong namespace is named with the right one, ready to be pasted.
func TestMissingSaysWhereItIs(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	there := s.Namespace(t)
	ref := Ref{Namespace: there, Name: "found-" + there}
	s.apply(t, ref, "")
	look := func(namespace string) *fault.Fault {
		t.Helper()
		_, err := c.target(Ref{Namespace: namespace, Name: ref.Name}).must(t.Context())
		var f *fault.Fault
		if !errors.As(err, &f) || f.Code != fault.NotFound {
			t.Fatalf("got %v, want not found", err)
		}
		return f
	}
	f := look("argocd")
	if want := "argocd: {namespace: " + there + "}"; !slices.Equal(f.Try, []string{want}) || !strings.Contains(f.Detail, "in namespace "+there) {
		t.Errorf("it does not say %q: %s %q", want, f.Detail, f.Try)
	}
	second := Ref{Namespace: s.Namespace(t), Name: ref.Name}
	s.apply(t, second, "")
	if f = look("argocd"); !strings.Contains(f.Detail, there) || !strings.Contains(f.Detail, second.Namespace) {
		t.Errorf("it does not name both namespaces: %s", f.Detail)
	}
	f = c.target(Ref{Namespace: "argocd", Name: "nobody"}).missing()
	if strings.Contains(f.Error(), "of that name") {
		t.Errorf("it names a place for what is nowhere: %v", f)
	}
}
