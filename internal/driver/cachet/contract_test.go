package cachet

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/announce"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/testchannels"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// newPage is a page at noon, and what leads to it.
func newPage(t testing.TB) (*testchannels.Cachet, *announce.System) {
	t.Helper()
	now := func() time.Time { return noon.Add(10 * time.Second) }
	page := &testchannels.Cachet{Token: "t0ken", Components: map[int64]string{3: "Shop", 4: "API"}, Now: now}
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("t0ken"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := connect(t.Context(), Config{URL: server.URL, Components: map[string]string{"shop": "3", "api": "4"}, Access: vendorhttp.Access{TokenFile: file}},
		driver.Env{Name: "prod", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return page, s
}

var shop = announce.Params{Service: "shop", Since: noon, Until: noon.Add(time.Hour), Name: "Maintenance (shop)", Body: "Back soon."}

// TestAnnounceContract holds cachet/maintenance.announce to the contract.
func TestAnnounceContract(t *testing.T) {
	t.Parallel()
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		page, s := newPage(t)
		return actiontest.Target{
			Name:   s.Target("shop"),
			Change: driver.Bare(driver.Typed[announce.State](s.Open(shop))).Change,
			// A colleague gives noren's another title; where there is none, she made one
			// out of noren's words.
			Meddle: func(t testing.TB) {
				if len(page.Standing()) > 0 {
					page.Meddle(func(_, message string) (string, string) { return "hers", message })
					return
				}
				if err := s.Begin(t.Context(), announce.Entry{Service: "shop", Name: "hers", Since: noon, Until: noon.Add(time.Minute)}, "hers"); err != nil {
					t.Fatal(err)
				}
			},
			MeddleBeside: func(testing.TB) {
				page.Meddle(func(name, message string) (string, string) { return name, "hers, before noren's\n\n" + message })
				page.Colleague()
			},
			Beside: func(testing.TB) string {
				return strings.Join(others(page), "\n")
			},
			LoseNextAnswer: func(testing.TB) { page.LoseAnswer = true },
			Writes:         func(testing.TB) int { return page.Writes() },
		}
	}})
}

func others(page *testchannels.Cachet) []string {
	var all []string
	for _, text := range page.Standing() {
		if !strings.Contains(text, "[noren:") {
			all = append(all, text)
		}
	}
	return all
}

// TestLateIsNotComplete looks at a closing whose planned end has passed: the page
// still shows it, and once completed it is not found again, whatever the page's
// clock says.
func TestLateIsNotComplete(t *testing.T) {
	t.Parallel()
	page, s := newPage(t)
	c := s.Open(shop)
	to, err := c.Propose(&announce.State{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), &announce.State{}, to); err != nil {
		t.Fatal(err)
	}
	page.Now = func() time.Time { return noon.Add(3 * time.Hour) }
	if now, err := c.Observe(t.Context()); err != nil || now.Maintenance == nil || !now.Maintenance.Until.Equal(shop.Until) {
		t.Fatalf("late: %v, %v", now, err)
	}
	page.Now = func() time.Time { return noon.Add(time.Second) } // the page's clock is slow
	if err := c.Apply(t.Context(), to, &announce.State{}); err != nil {
		t.Fatal(err)
	}
	if now, err := c.Observe(t.Context()); err != nil || now.Maintenance != nil {
		t.Errorf("completed, and %v, %v", now, err)
	}
	if wrong := page.Wrongs(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestAddressWithSlash: the page's address as browsers show it leads to its API.
func TestAddressWithSlash(t *testing.T) {
	t.Parallel()
	page := &testchannels.Cachet{Token: "t0ken", Components: map[int64]string{3: "Shop"}, Now: time.Now}
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("t0ken"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := connect(t.Context(), Config{URL: server.URL + "/", Components: map[string]string{"shop": "3"}, Access: vendorhttp.Access{TokenFile: file}}, driver.Env{Name: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Component(t.Context(), "shop"); err != nil {
		t.Error(err)
	}
	if target := s.Target("shop"); strings.Contains(target, "//") {
		t.Error(target)
	}
}

// TestManySchedules finds noren's behind a page of others.
func TestManySchedules(t *testing.T) {
	t.Parallel()
	page, s := newPage(t)
	for range pageSize + 20 {
		page.Colleague()
	}
	if err := s.Begin(t.Context(), announce.Entry{Service: "shop", Name: "x", Since: noon, Until: noon.Add(time.Minute)}, "x"); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) != 1 || all[0].Service != "shop" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		"":                   {URL: "https://status.example.com", Components: map[string]string{"shop": "3"}},
		"url is needed":      {Components: map[string]string{"shop": "3"}},
		"components: name":   {URL: "https://status.example.com"},
		"no id of":           {URL: "https://status.example.com", Components: map[string]string{"shop": "Shop"}},
		"have one component": {URL: "https://status.example.com", Components: map[string]string{"shop": "3", "api": "3"}},
		"unencrypted":        {URL: "http://status.example.com", Components: map[string]string{"shop": "3"}},
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
