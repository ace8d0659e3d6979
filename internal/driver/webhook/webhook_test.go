package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/webhook"
	"github.com/noren-dev/noren/internal/testchannels"
)

const secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// session leads the channel to a server.
func session(t *testing.T, url string) *driver.Session {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(webhook.Config{URL: url, SecretFile: file})
	if err != nil {
		t.Fatal(err)
	}
	return driver.NewRegistry(webhook.Driver()).Open(driver.Env{Name: "prod", Now: time.Now}, driver.Configs{"webhook": raw})
}

func hearing(upto *int64) driver.Hearing {
	return driver.Hearing{
		Story: driver.Story{Run: "close-1124-abcd", Closing: "close-1124-abcd", Kind: "close", Status: "running", Environment: "prod / blue", Services: []string{"shop"}, Since: time.Now()},
		Notices: []driver.Notice{{Seq: 7, Kind: driver.NoticeStarted, At: time.Now(), Text: "Closing shop <in> prod"},
			{Seq: 9, Kind: driver.NoticeEnded, At: time.Now(), Text: "Closed"}},
		Keep: func(_ context.Context, n int64, _ string) error { *upto = n; return nil },
	}
}

// TestSignedEvents has a receiver verify what it gets as it would be verified
// anywhere, and lets the second event fail: it comes again under the same id.
func TestSignedEvents(t *testing.T) {
	t.Parallel()
	receiver := &testchannels.Webhook{Secret: secret, Now: time.Now, Tolerance: 5 * time.Minute}
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 2 {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "busy", http.StatusTooManyRequests)
			return
		}
		receiver.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s, upto := session(t, server.URL), int64(0)
	h := hearing(&upto)
	err := s.Hear(t.Context(), "webhook", h)
	var asks interface{ RetryAfter() time.Duration }
	if !errors.Is(err, action.ErrUnavailable) || !errors.As(err, &asks) || asks.RetryAfter() != 7*time.Second {
		t.Errorf("got %v, want one that asks for 7 s", err)
	}
	if upto != 7 {
		t.Errorf("kept %d, want what the receiver took: 7", upto)
	}
	h.Notices = h.Notices[1:]
	if err := s.Hear(t.Context(), "webhook", h); err != nil {
		t.Error(err)
	}
	want := "dev.noren.run.started close-1124-abcd/7 running \"Closing shop <in> prod\"\ndev.noren.run.ended close-1124-abcd/9 running \"Closed\""
	if got := strings.Join(receiver.Lines(), "\n"); got != want || upto != 9 {
		t.Errorf("took, and kept %d:\n%s\nwant\n%s", upto, got, want)
	}
	if wrong := receiver.Wrongs(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestRefusals are those that are not tried again, and say no secret.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"gone": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusGone) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusPermanentRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				answer(w, r)
			}))
			t.Cleanup(server.Close)
			upto := int64(0)
			err := session(t, server.URL).Hear(t.Context(), "webhook", hearing(&upto))
			if err == nil || errors.Is(err, action.ErrUnavailable) || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v", err)
			}
			if calls != 1 || upto != 0 {
				t.Errorf("%d calls, kept %d; want one, and nothing kept", calls, upto)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]webhook.Config{
		"unencrypted":      {URL: "http://hooks.example.com", SecretEnv: "X"},
		"secret_env: name": {URL: "https://hooks.example.com"},
		"both given":       {URL: "https://hooks.example.com", SecretEnv: "X", SecretFile: "y"},
		"no http or https": {URL: "hooks.example.com", SecretEnv: "X"},
		"give only scheme": {URL: "https://u:p@hooks.example.com", SecretEnv: "X"},
		"":                 {URL: "https://hooks.example.com/a", SecretEnv: "X"},
	} {
		err := c.Validate()
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
}
