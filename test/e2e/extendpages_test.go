package e2e

import (
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/page"
)

// tells fails the test unless a host's page, and its JSON twin where there is
// one, tell an end.
func (s *shop) tells(t testing.TB, host, clock, utc string, twin bool) {
	t.Helper()
	res, body := s.browse(t, "GET", host, "/", "Accept", "text/html")
	if _, ours := page.MarkIn([]byte(body)); res.StatusCode != 503 || !ours || !strings.Contains(body, clock+" JST") {
		t.Errorf("%s answers %d and does not tell %s: %s", host, res.StatusCode, clock, body)
	}
	if at := res.Header.Get("Retry-After"); at != "" && !strings.Contains(at, utc) {
		t.Errorf("%s says Retry-After: %s, want %s", host, at, utc)
	}
	if !twin {
		return
	}
	if _, body = s.browse(t, "GET", host, "/", "Accept", "application/json"); !strings.Contains(body, "T"+utc) {
		t.Errorf("%s does not tell programs %s: %s", host, utc, body)
	}
}

// TestExtendRoutes moves the end of closings on Gateways of every
// implementation: answers of their own, entries of Istio's and pages of the page
// server tell it. Opening restores everything.
func TestExtendRoutes(t *testing.T) {
	t.Parallel()
	s, _ := newMall(t, mallPlan{bypass: "{pass: true}"})
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "--env", "prod", "--until", "03:00", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "plan", "extend", "--env", "prod", "--until", "03:01", "--shorten").must(t, 0).says(t, "4 targets to change",
		"renew the page in listenerruleconfiguration "+s.ns+"/noren-aws-closed", "renew the page in httproutefilter "+s.ns+"/noren-envoy-closed",
		"renew the page in configmap "+s.ns+"/noren-plain-route-page", "renew the page on virtualservice "+s.ns+"/istio")
	for _, end := range [][2]string{{"03:01", "18:01:00"}, {"03:02", "18:02:00"}} {
		s.noren(t, state, "extend", "--env", "prod", "--until", end[0], "--shorten", "--confirm", "prod").must(t, 0)
		for _, name := range mallNames {
			s.tells(t, name, end[0], end[1], name == "plain")
		}
	}
	pass := passIn(t, s.noren(t, state, "status", "--pass").must(t, 0).out)
	s.answers(t, "X-Noren-Pass", pass)
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.answers(t)
	s.same(t, before)
}

// TestExtendPagesOfThePageServer moves the end of an Ingress of any class, loses
// the records and opens from the marks.
func TestExtendPagesOfThePageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "stall", "--env", "prod", "--until", "03:00", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "extend", "stall", "--env", "prod", "--until", "03:01", "--shorten", "--confirm", "prod").must(t, 0)
	s.tells(t, "stall", "03:01", "18:01:00", true)
	s.noren(t, t.TempDir(), "leftovers", "--env", "prod").must(t, 10).says(t, "18:01", "configmap/noren-stall-page")
	lost := t.TempDir()
	s.noren(t, lost, "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestExtendAdoptedPageServer: the page of an adopted closing is not known, and
// who moves its end hears at the end that customers go on reading the former one.
func TestExtendAdoptedPageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, t.TempDir(), "close", "stall", "--env", "prod", "--until", "03:00", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "recover", "--env", "prod", "--keep-closed", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "extend", "--env", "prod", "--until", "03:01", "--shorten", "--confirm", "prod").must(t, 0).
		says(t, "WARNING", "goes on telling the end that it told before")
	s.tells(t, "stall", "03:00", "18:00:00", true)
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestExtensionUndoneOnThePageServer: an extension that cannot be proved puts
// the former page back.
func TestExtensionUndoneOnThePageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "stall", "--env", "prod", "--until", "03:00", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "extend", "stall", "--env", "prod", "--until", "03:01", "--shorten", "--confirm", "prod").must(t, 0)
	if err := s.market.server.cmd.Process.Kill(); err != nil { // nothing can be proved
		t.Fatal(err)
	}
	<-s.market.server.done
	s.env = []string{patience + "=2s"}
	s.noren(t, state, "extend", "stall", "--env", "prod", "--until", "03:02", "--shorten", "--confirm", "prod").must(t, 10)
	s.servePages(t)
	s.tells(t, "stall", "03:01", "18:01:00", true)
	s.env = nil
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}
