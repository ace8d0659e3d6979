package e2e

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// set writes a field of an object as JSON knows it.
func set(t testing.TB, object map[string]any, v any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(object, v, path...); err != nil {
		t.Fatal(err)
	}
}

// rules are an Ingress's spec.rules.
func rules(object map[string]any) []any {
	list, _, _ := unstructured.NestedSlice(object, "spec", "rules")
	return list
}

func (s *shop) closed(t testing.TB, services ...string) (state string) {
	t.Helper()
	state = t.TempDir()
	s.noren(t, state, append(append([]string{"close"}, services...), "--env", "prod", "--for", "30m", "--confirm", "prod")...).must(t, 0)
	s.sim.CatchUp(t)
	return state
}

func (s *shop) read(t testing.TB, gvr schema.GroupVersionResource, name string) map[string]any {
	t.Helper()
	object, err := s.client.Resource(gvr).Namespace(s.ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return object.Object
}

// TestColleagueEditedOurPage: noren shows what was, what it wrote and what is
// there now, and writes nothing until a person chooses a side.
func TestColleagueEditedOurPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, service, ingress string
		edit                   func(t *testing.T, object map[string]any)
		word                   string
	}{
		{"overlay", "shop", "noren-web-closed", func(t *testing.T, o map[string]any) {
			set(t, o, "-999", "metadata", "annotations", "alb.ingress.kubernetes.io/group.order")
		}, "-999"},
		{"inserted rule", "solo", "solo", func(t *testing.T, o map[string]any) {
			for i, rule := range rules(o) {
				if i == 0 {
					list := rules(o)
					set(t, rule.(map[string]any), "www.example.com", "host")
					list[0] = rule
					set(t, o, list, "spec", "rules")
				}
			}
		}, "www.example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			before := s.objects(t)
			state := s.closed(t)
			s.edit(t, ingresses, c.ingress, func(o map[string]any) { c.edit(t, o) })
			edited := s.objects(t)
			s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 11).
				says(t, "before:", "ours:", "now:", c.word, "ingress/"+c.ingress, "--ours", "--theirs", "nothing: this command wrote nothing")
			s.same(t, edited)
			s.noren(t, state, "plan", "open").must(t, 11)
			s.noren(t, state, "open", "--confirm", "prod", "--ours").must(t, 0)
			s.same(t, before)
		})
		t.Run(c.name+", theirs", func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(o *shopOptions) { o.byHand = true })
			state := s.closed(t)
			s.edit(t, ingresses, c.ingress, func(o map[string]any) { c.edit(t, o) })
			theirs := s.objects(t)[s.key(c.ingress)]
			r := s.noren(t, state, "open", "--confirm", "prod", "--theirs").must(t, 0).says(t, "still noren's page")
			if got := s.objects(t)[s.key(c.ingress)]; got != theirs {
				t.Errorf("noren wrote to what it was told to leave:\n%s\n%s%s", got, r.out, r.err)
			}
			for key := range s.objects(t) {
				if strings.Contains(key, "/noren-") && key != s.key(c.ingress) {
					t.Errorf("%s is still there:\n%s%s", key, r.out, r.err)
				}
			}
			if code, _ := s.get(t, "api", "/"); code != 200 {
				t.Errorf("the rest was not opened: api answers %d", code)
			}
		})
	}
}

func (s *shop) key(ingress string) string {
	return "networking.k8s.io/v1/ingresses/" + s.ns + "/" + ingress
}

// TestColleagueResumedTheSync: Argo CD then takes the page's rules away at
// once. noren says what it found; --ours gives the same end as Git's.
func TestColleagueResumedTheSync(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	state := s.closed(t)
	s.edit(t, applications, "solo", func(o map[string]any) {
		set(t, o, map[string]any{"prune": true, "selfHeal": true}, "spec", "syncPolicy", "automated")
	})
	until(t, "Argo CD reverts the page", func() bool {
		code, _ := s.get(t, "solo", "/")
		return code == 200
	})
	s.noren(t, state, "open", "--confirm", "prod").must(t, 11).says(t, "ingress/solo", "before:", "now:")
	s.noren(t, state, "open", "--confirm", "prod", "--ours").must(t, 0)
	s.same(t, before)
}

// TestColleagueEditedBeside: an edit of anything that noren did not write
// survives closing and opening.
func TestColleagueEditedBeside(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.byHand = true })
	state := s.closed(t)
	beside := func(o map[string]any) {
		set(t, o, "night-shift", "metadata", "labels", "team")
		set(t, o, "30", "metadata", "annotations", "alb.ingress.kubernetes.io/healthcheck-interval-seconds")
		last := rules(o)[len(rules(o))-1].(map[string]any)
		more := map[string]any{"host": "new." + s.ns + ".example.com", "http": last["http"]}
		set(t, o, append(rules(o), more), "spec", "rules")
	}
	for _, name := range []string{"solo", "web"} {
		s.edit(t, ingresses, name, beside)
	}
	s.edit(t, ingresses, "noren-web-closed", func(o map[string]any) { set(t, o, "look", "metadata", "labels", "seen-by") })
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	for _, name := range []string{"solo", "web"} {
		o := s.read(t, ingresses, name)
		text := fmt.Sprint(o)
		if n := len(rules(o)); n != 2 || !strings.Contains(text, "night-shift") || !strings.Contains(text, "healthcheck-interval-seconds:30") {
			t.Errorf("%s lost a colleague's edit: %s", name, text)
		}
		if strings.Contains(text, "actions.noren") || strings.Contains(text, "noren.dev") {
			t.Errorf("%s keeps something of noren's: %s", name, text)
		}
	}
}

// TestIngressDeletedMeanwhile: what is gone cannot be put back; the rest opens.
func TestIngressDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.byHand = true })
	state := s.closed(t)
	for _, name := range []string{"solo", "noren-web-probe"} {
		if err := s.client.Resource(ingresses).Namespace(s.ns).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		until(t, name+" is gone", func() bool { return s.objects(t)[s.key(name)] == "" })
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 11).says(t, "ingress/solo", "(not there)")
	s.noren(t, state, "open", "shop", "api", "--confirm", "prod").must(t, 0)
	if code, _ := s.get(t, "shop", "/"); code != 200 {
		t.Errorf("shop answers %d", code)
	}
	s.noren(t, state, "open", "--confirm", "prod", "--theirs").must(t, 0).says(t, "health checks still fail")
	s.noren(t, state, "open").must(t, 0).says(t, "Nothing is closed")
}

// TestChangedBetweenPlanAndRun: what the plan's reader approved is not there
// any more, so nothing is written.
func TestChangedBetweenPlanAndRun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, c := range []struct {
		point, name string
		code        int
		edit        func()
	}{
		{"run.started", "before the checks", 10, func() {
			s.edit(t, ingresses, "web", func(o map[string]any) {
				set(t, o, "/ready", "metadata", "annotations", "alb.ingress.kubernetes.io/healthcheck-path")
			})
		}},
		{"stage.started", "before the receipts", 11, func() {
			s.edit(t, applications, "solo", func(o map[string]any) { set(t, o, map[string]any{}, "spec", "syncPolicy", "automated") })
		}},
	} {
		h := newHold(t, c.point)
		closing := s.start(t, t.TempDir(), h.env, "close", "--env", "prod", "--confirm", "prod")
		h.reached(t)
		c.edit()
		edited := s.objects(t)
		h.release()
		closing.wait(t).must(t, c.code).says(t, "nothing: this run wrote nothing")
		s.same(t, edited)
	}
}
