package e2e

import (
	"strings"
	"sync"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
)

// TestCloseAndOpen is the main job: customers see the closed page at each
// front door, staff and other teams' customers do not, and afterwards every
// object is exactly as it was.
func TestCloseAndOpen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	state := t.TempDir()
	before := s.objects(t)
	open := func(host string) {
		t.Helper()
		if code, body := s.get(t, host, "/cart"); code != 200 || !strings.Contains(body, "answers GET /cart") {
			t.Fatalf("%s answered %d %q, want the application", host, code, body)
		}
	}
	for _, host := range []string{"shop", "api", "solo", "other"} {
		open(host)
	}

	plan := s.noren(t, state, "plan", "close", "--env", "prod", "--for", "30m").must(t, 0)
	for _, want := range []string{"PROTECTED", "overlay", "patch", "everything can be undone", "actions.noren-", "of 1024 bytes"} {
		if !strings.Contains(plan.out, want) {
			t.Errorf("the plan does not say %q:\n%s", want, plan.out)
		}
	}
	s.same(t, before)

	s.noren(t, state, "close", "--env", "prod", "--for", "30m").must(t, 2)
	s.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prd").must(t, 2)
	s.same(t, before)

	s.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	if code, body := s.get(t, "shop", "/cart"); code != 503 || !strings.Contains(body, "<html") || !strings.Contains(body, "noren") {
		t.Errorf("shop answered %d %q, want the closed page", code, body)
	}
	if code, body := s.get(t, "api", "/items"); code != 503 || !strings.Contains(body, `"noren"`) || !strings.HasPrefix(body, "{") {
		t.Errorf("api answered %d %q, want the JSON twin", code, body)
	}
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answered %d, want 503", code)
	}
	open("other")

	status := s.noren(t, state, "status").must(t, 0)
	if !strings.Contains(status.out, "closed since") || !strings.Contains(status.out, "shop") {
		t.Errorf("status:\n%s", status.out)
	}
	s.noren(t, state, "close", "--env", "prod", "--confirm", "prod").must(t, 0) // the same again: closed already
	again := s.noren(t, state, "close", "shop", "--env", "prod", "--confirm", "prod").must(t, 12)
	if !strings.Contains(again.err, "noren watch close-") {
		t.Errorf("the second closing was refused without a way to watch the first:\n%s", again.err)
	}

	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	for _, host := range []string{"shop", "api", "solo", "other"} {
		open(host)
	}
	s.same(t, before)
}

// TestStaffStayInside closes with a bypass and checks each kind of visitor.
func TestStaffStayInside(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	state := t.TempDir()
	before := s.objects(t)
	s.noren(t, state, "close", "shop", "solo", "--env", "prod", "--pass", "--allow", "198.51.100.7", "--confirm", "prod").must(t, 0).
		says(t, "Do staff get into shop with the pass?", "staff get in: shop, solo")
	s.sim.CatchUp(t) // the page is up; staff are let in a moment later
	pass := s.noren(t, state, "status", "--pass", "--output", "json").must(t, 0).out
	_, pass, _ = strings.Cut(pass, `"pass":"`)
	pass, _, _ = strings.Cut(pass, `"`)
	for _, args := range []string{"plan open", "plan open --output json", "watch --output json", "status --output json", "check --live --env prod --output json"} {
		if got := s.noren(t, state, strings.Fields(args)...); strings.Contains(got.out+got.err, pass) {
			t.Errorf("noren %s prints the pass", args)
		}
	}
	for _, host := range []string{"shop", "solo"} {
		for _, c := range []struct {
			who    string
			header []string
			want   int
		}{
			{"customer", nil, 503},
			{"staff with the header", []string{edge.PassHeader, pass}, 200},
			{"staff with the cookie", []string{"Cookie", "a=b; " + edge.PassCookie + "=" + pass}, 200},
			{"a wrong pass", []string{edge.PassHeader, pass + "x"}, 503},
			{"probe with the pass", []string{edge.PassHeader, pass, edge.ProbeHeader, "1"}, 503},
		} {
			code, body := s.get(t, host, "/")
			for range 20 { // a new target group registers its targets first
				if code, body = s.get(t, host, "/", c.header...); code == c.want {
					break
				}
			}
			if code != c.want {
				t.Errorf("%s, %s: answered %d, want %d: %s", host, c.who, code, c.want, body)
			}
		}
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestTwoAtOnce starts two closings of one service at the same moment: one
// wins, the other learns who holds it.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	state := t.TempDir()
	results := make([]result, 2)
	var both sync.WaitGroup
	for i := range results {
		both.Go(func() {
			results[i] = s.noren(t, state, "close", "shop", "--env", "prod", "--confirm", "prod")
		})
	}
	both.Wait()
	codes := map[int]int{results[0].code: 1}
	codes[results[1].code]++
	// The second either finds the entrance held, or the first's run under way
	// and follows it to its end.
	if codes[0] == 0 || codes[0]+codes[12] != 2 {
		t.Errorf("exit codes %d and %d, want 0 and 12, or 0 twice\n%s\n%s", results[0].code, results[1].code, results[0].err, results[1].err)
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}
