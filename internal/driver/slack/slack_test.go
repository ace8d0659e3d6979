package slack_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/slack"
	"github.com/noren-dev/noren/internal/testchannels"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

const (
	token   = "xoxb-1234"
	channel = "C0123"
)

// A bench is a Slack and what noren kept of it.
type bench struct {
	slack   *testchannels.Slack
	session func() *driver.Session // of a process of its own
	upto    int64
	handle  string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{slack: &testchannels.Slack{Token: token, Channel: channel}}
	server := httptest.NewServer(b.slack)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(slack.Config{Access: vendorhttp.Access{TokenFile: file}, Channel: channel, URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	b.session = func() *driver.Session {
		return driver.NewRegistry(slack.Driver()).Open(driver.Env{Name: "prod", Now: time.Now}, driver.Configs{"slack": raw})
	}
	return b
}

func (b *bench) hearing(again bool, kinds ...driver.NoticeKind) driver.Hearing {
	h := driver.Hearing{
		Story:  driver.Story{Run: "close-1", Closing: "close-1", Title: "Closed: shop", Since: time.Now(), Facts: []driver.Fact{{Name: "Why", Value: strings.Repeat("long & <wide> ", 400)}}},
		Handle: b.handle, Again: again,
		Keep: func(_ context.Context, upto int64, handle string) error { b.upto, b.handle = upto, handle; return nil },
	}
	for i, k := range kinds {
		h.Notices = append(h.Notices, driver.Notice{Seq: b.upto + int64(i) + 1, Kind: k, Text: string(k), Loud: k == driver.NoticeWaiting})
	}
	return h
}

func (b *bench) hear(t *testing.T, s *driver.Session, h driver.Hearing) {
	t.Helper()
	if err := s.Hear(t.Context(), "slack", h); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) took(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, line := range b.slack.Lines() {
		words := strings.Fields(line)
		got = append(got, strings.Join(words[:min(2, len(words))], " "))
	}
	for i := range got {
		got[i] = strings.TrimSuffix(strings.Split(got[i], " 17")[0], " ")
	}
	if g, w := strings.Join(got, ", "), strings.Join(want, ", "); g != w {
		t.Errorf("Slack took %s; want %s\n%s", g, w, strings.Join(b.slack.Lines(), "\n"))
	}
	if wrong := b.slack.Wrongs(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

func TestOneMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.session()
	b.hear(t, s, b.hearing(false, driver.NoticeStarted))
	b.hear(t, s, b.hearing(false, driver.NoticeStage, driver.NoticeWaiting))
	b.took(t, "post", "update", "loud reply")
	if b.upto != 3 || b.handle == "" {
		t.Errorf("kept %d %q", b.upto, b.handle)
	}
}

// TestCarriedOn has a process die after Slack's answer and before the record of it.
func TestCarriedOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dying := b.hearing(false, driver.NoticeStarted, driver.NoticeStage)
	dying.Keep = func(context.Context, int64, string) error { return context.Canceled }
	if err := b.session().Hear(t.Context(), "slack", dying); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.hear(t, b.session(), b.hearing(true, driver.NoticeStarted, driver.NoticeStage))
	b.hear(t, b.session(), b.hearing(true, driver.NoticeEnded))
	posts := 0
	for _, line := range b.slack.Lines() {
		if strings.HasPrefix(line, "post") {
			posts++
		}
	}
	if posts != 1 {
		t.Errorf("%d messages of one run:\n%s", posts, strings.Join(b.slack.Lines(), "\n"))
	}
	// A reply that was posted and not recorded is not posted again.
	before := len(b.slack.Lines())
	b.upto-- // the record of the last is lost
	b.hear(t, b.session(), b.hearing(true, driver.NoticeEnded))
	if after := b.slack.Lines()[before:]; len(after) != 1 || !strings.HasPrefix(after[0], "update") {
		t.Errorf("told again: %q", after)
	}
}

// TestTooQuick says how long Slack asks to wait.
func TestTooQuick(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slack.Pace = time.Hour
	b.hear(t, b.session(), b.hearing(false, driver.NoticeStarted))
	b.handle = ""
	err := b.session().Hear(t.Context(), "slack", b.hearing(false, driver.NoticeStarted))
	var asks interface{ RetryAfter() time.Duration }
	if !errors.Is(err, action.ErrUnavailable) || !errors.As(err, &asks) || asks.RetryAfter() != time.Second {
		t.Errorf("got %v, want one that asks for 1 s", err)
	}
}

// TestDeleted posts anew a message that somebody deleted.
func TestDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.handle = "1600000000.000100"
	b.hear(t, b.session(), b.hearing(false, driver.NoticeStarted))
	b.took(t, "post")
	if b.handle == "1600000000.000100" {
		t.Error("the handle is that of the deleted message")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{"C0123456789": true, "G012": true, "#ops": false, "ops": false, "": false} {
		if err := (slack.Config{Channel: value}).Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
}
