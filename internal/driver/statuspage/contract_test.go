package statuspage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/announce"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/testchannels"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// newPage is a page, and a session that leads to it.
func newPage(t testing.TB) (*testchannels.Statuspage, *driver.Session, Config) {
	t.Helper()
	page := &testchannels.Statuspage{Key: "k3y", Page: "p1", Components: map[string]string{"c1": "degraded_performance", "c2": "operational"}}
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("k3y"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Page: "p1", KeyFile: file, Components: map[string]string{"shop": "c1", "api": "c2"}, URL: server.URL}
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return page, driver.NewRegistry(Driver()).Open(driver.Env{Name: "prod", Now: time.Now}, driver.Configs{"statuspage": raw}), cfg
}

var shop = announce.Params{Service: "shop", Since: noon, Until: noon.Add(time.Hour), Name: "Maintenance (shop)", Body: "Back soon."}

func params(t testing.TB) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(shop)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestAnnounceContract holds statuspage/maintenance.announce to the contract.
func TestAnnounceContract(t *testing.T) {
	t.Parallel()
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		page, _, cfg := newPage(t)
		c, err := connect(t.Context(), cfg, driver.Env{Name: "prod"})
		if err != nil {
			t.Fatal(err)
		}
		change, err := openAnnounce(c, shop)
		if err != nil {
			t.Fatal(err)
		}
		return actiontest.Target{
			Name:   "statuspage:p1/shop",
			Change: driver.Bare(change).Change,
			Meddle: func(testing.TB) {
				page.Do(func(_ []map[string]any, components map[string]string) { components["c1"] = "major_outage" })
			},
			MeddleBeside: func(testing.TB) {
				page.Do(func(incidents []map[string]any, components map[string]string) {
					components["c2"] = "partial_outage"
					for _, i := range incidents {
						i["body"] = "an update by a colleague"
					}
				})
			},
			Beside:         func(testing.TB) string { return page.Component("c2") },
			LoseNextAnswer: func(testing.TB) { page.LoseAnswer = true },
			Writes:         func(testing.TB) int { return page.Writes() },
		}
	}})
}

// TestLostAnswerMakesNoSecond retries a creation whose answer was lost: there is
// one maintenance, and it is found as noren's.
func TestLostAnswerMakesNoSecond(t *testing.T) {
	t.Parallel()
	page, session, _ := newPage(t)
	in, err := session.Action(t.Context(), "statuspage/maintenance.announce", params(t))
	if err != nil {
		t.Fatal(err)
	}
	from, err := in.Change.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := in.Change.Propose(from)
	if err != nil {
		t.Fatal(err)
	}
	page.LoseAnswer = true
	if err := in.Change.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if n := page.Incidents(); n != 1 {
		t.Errorf("%d maintenances, want 1", n)
	}
	found, err := session.Traces(t.Context())
	if err != nil || len(found.Unmarked) != 1 || !found.Unmarked[0].Ours || found.Unmarked[0].Target != "statuspage:p1/shop" {
		t.Errorf("traces %+v, %v", found, err)
	}
	if _, err := in.Change.Propose(to); err != nil {
		t.Errorf("its own is refused: %v", err)
	}
	if wrong := page.Wrongs(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestTwoOfNorens completes both maintenances that two norens made of one service.
func TestTwoOfNorens(t *testing.T) {
	t.Parallel()
	page, _, cfg := newPage(t)
	s, err := connect(t.Context(), cfg, driver.Env{Name: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	e := announce.Entry{Service: "shop", Name: shop.Name, Since: shop.Since, Until: shop.Until, Before: "degraded_performance"}
	for range 2 {
		if err := s.Begin(t.Context(), e, "x"); err != nil {
			t.Fatal(err)
		}
	}
	c := s.Open(shop)
	now, err := c.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), now, &announce.State{Component: "degraded_performance"}); err != nil {
		t.Fatal(err)
	}
	if all := page.Standing(); len(all) != 1 || all[0] != "c1 degraded_performance" {
		t.Errorf("left: %q", all)
	}
}

// TestManyServices closes and opens more services than a minute has calls for, if
// each were read by itself: looks side by side are answered by one list, and what
// is left fits.
func TestManyServices(t *testing.T) {
	t.Parallel()
	page, _, cfg := newPage(t)
	const services = 12
	cfg.Components = map[string]string{}
	for i := range services {
		id := fmt.Sprintf("m%d", i)
		page.Components[id], cfg.Components[fmt.Sprintf("shop%d", i)] = "operational", id
	}
	s, err := connect(t.Context(), cfg, driver.Env{Name: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	observe := func() {
		ctx := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: services})
		for name := range cfg.Components {
			p := shop
			p.Service = name
			if _, err := s.Open(p).Observe(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := s.OpenThere(announce.ThereParams{Service: name}).Check(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	observe() // as for a plan
	observe() // before anything is written
	ctx := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: services})
	for name := range cfg.Components {
		p := shop
		p.Service = name
		c := s.Open(p)
		from := &announce.State{Component: "operational"}
		to, err := c.Propose(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(ctx, from, to); err != nil {
			t.Fatal(err)
		}
	}
	if n := page.Calls(); n > pace.Calls {
		t.Errorf("%d calls, and Statuspage takes %d in %s", n, pace.Calls, pace.Per)
	}
	if n, wrong := page.Incidents(), page.Wrongs(); n != services || len(wrong) > 0 {
		t.Errorf("%d maintenances, %v", n, wrong)
	}
}

// TestAnothersMaintenance is one that another closing announced.
func TestAnothersMaintenance(t *testing.T) {
	t.Parallel()
	_, session, _ := newPage(t)
	in, err := session.Action(t.Context(), "statuspage/maintenance.announce", params(t))
	if err != nil {
		t.Fatal(err)
	}
	there, err := json.Marshal(announce.State{Component: "under_maintenance", Maintenance: &announce.Maintenance{Name: "x", Since: noon, Until: noon.Add(time.Minute)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Change.Propose(action.State{Version: 1, Fields: there}); !errors.Is(err, action.ErrDrift) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		"":                   {Page: "p1", Components: map[string]string{"shop": "c1"}},
		"page: ":             {Page: "my page", Components: map[string]string{"shop": "c1"}},
		"components: name":   {Page: "p1"},
		"have one component": {Page: "p1", Components: map[string]string{"shop": "c1", "api": "c1"}},
		"unencrypted":        {Page: "p1", Components: map[string]string{"shop": "c1"}, URL: "http://example.com"},
	} {
		err := c.Validate()
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
