package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
)

// TestExtend moves the end of a closing by overlay and by patch: customers see
// the new end, the marks tell the way back from it, and opening restores the
// objects exactly.
func TestExtend(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	state := t.TempDir()
	before := s.objects(t)
	s.noren(t, state, "close", "--env", "prod", "--until", "03:00", "--confirm", "prod").must(t, 0)
	tells := func(clock, utc string) {
		t.Helper()
		for _, host := range []string{"shop", "solo"} {
			if code, body := s.get(t, host, "/"); code != 503 || !strings.Contains(body, clock+" JST") {
				t.Errorf("%s answers %d and does not tell %s: %s", host, code, clock, body)
			}
		}
		if code, body := s.get(t, "api", "/"); code != 503 || !strings.Contains(body, utc) {
			t.Errorf("api answers %d and does not tell %s: %s", code, utc, body)
		}
	}
	tells("03:00", "T18:00:00Z")
	marks := s.marks(t)

	plan := s.noren(t, state, "plan", "extend", "--env", "prod", "--until", "03:01", "--shorten").must(t, 0)
	plan.says(t, "renew the page on ingress "+s.ns+"/noren-web-closed", "renew the page on ingress "+s.ns+"/solo", "of 1024 bytes", "everything can be undone")
	for _, end := range [][2]string{{"03:01", "T18:01:00Z"}, {"03:02", "T18:02:00Z"}} {
		s.noren(t, state, "extend", "--env", "prod", "--until", end[0], "--shorten", "--confirm", "prod").must(t, 0)
		tells(end[0], end[1])
		for name, m := range s.marks(t) {
			was := marks[name]
			if m.Receipt.Run != was.Receipt.Run || !m.Receipt.From.Equal(was.Receipt.From) || string(m.Params) != string(was.Params) {
				t.Errorf("the mark on %s is not that of the closing any more", name)
			}
			if m.Receipt.To.Equal(was.Receipt.To) == s.showsPage(m) {
				t.Errorf("the mark on %s does not tell what is there now", name)
			}
		}
	}
	if code, _ := s.get(t, "shop", "/", "X-Forwarded-For", "203.0.113.9"); code != 503 {
		t.Errorf("a customer is answered %d", code)
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// showsPage tells whether the target of a mark shows the page: what lets staff
// through does not.
func (s *shop) showsPage(m action.Mark) bool {
	return !strings.HasSuffix(m.Receipt.Target, "-through") && !strings.Contains(m.Receipt.Target, "application")
}

// marks are those on the shop's Ingresses, by name.
func (s *shop) marks(t testing.TB) map[string]action.Mark {
	t.Helper()
	list, err := s.client.Resource(ingresses).Namespace(s.ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]action.Mark{}
	for _, ing := range list.Items {
		if raw, ok := ing.GetAnnotations()["noren.dev/mark"]; ok {
			var m action.Mark
			if err := json.Unmarshal([]byte(raw), &m); err != nil {
				t.Fatal(err)
			}
			all[ing.GetName()] = m
		}
	}
	if len(all) < 3 {
		t.Fatalf("marks on %d Ingresses alone", len(all))
	}
	return all
}

// TestExtendLeavesAPageWithoutATime: a template that does not tell when it
// opens is not written again, and the end moves.
func TestExtendLeavesAPageWithoutATime(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.web = "    page: {template: own.html}\n" })
	s.write(t, "own.html", `<!doctype html><html lang="en"><head><meta name="noren" content="{{.Mark}}"><title>Closed</title></head><body>Closed</body></html>`)
	state := t.TempDir()
	before := s.objects(t)
	s.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	closed := s.objects(t)
	s.noren(t, state, "plan", "extend", "--env", "prod", "--for", "1h").must(t, 0).says(t, "0 targets to change", "does not tell when it opens")
	s.noren(t, state, "extend", "--env", "prod", "--for", "1h", "--confirm", "prod").must(t, 0).says(t, "Extended: shop")
	s.same(t, closed)
	s.noren(t, state, "status").must(t, 0).says(t, "extended from")
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestExtendKilledAtEveryPoint kills noren at each recorded point of an
// extension: the same command ends it, and opening restores the objects.
func TestExtendKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	eachPoint(t, 15, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		state := t.TempDir()
		s.noren(t, state, "close", "shop", "solo", "--env", "prod", "--until", "03:00", "--confirm", "prod").must(t, 0)
		args := []string{"extend", "--env", "prod", "--until", "03:01", "--shorten", "--confirm", "prod"}
		first := noren(t, s.dir, state, []string{fmt.Sprintf("%s=%d", killAt, n)}, args...)
		if reached(first); first.code == -1 {
			s.noren(t, state, args...).must(t, 0)
		}
		for _, host := range []string{"shop", "solo"} {
			if code, body := s.get(t, host, "/"); code != 503 || !strings.Contains(body, "03:01 JST") {
				t.Fatalf("after a kill at point %d %s answers %d %s\n%s", n, host, code, body, first.err)
			}
		}
		s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
		return first.code == -1
	})
}
