package appstatus_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/noren-dev/noren/internal/appstatus"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func document() *appstatus.Document {
	d := &appstatus.Document{Schema: appstatus.Schema, Updated: noon,
		Apps:     map[string]appstatus.App{"ios": {Minimum: "3.2.0", Store: "https://apps.example.com/1"}},
		Upcoming: []appstatus.Window{{Services: []string{"shop"}, Start: noon.Add(time.Hour), End: noon.Add(2 * time.Hour)}}}
	d.Close("api", nil)
	d.Close("shop", nil)
	return d
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	closed := func(extent string) *appstatus.Closing { return &appstatus.Closing{Since: noon, Extent: extent} }
	for _, c := range []struct {
		shop, api *appstatus.Closing
		want      string
	}{
		{nil, nil, "operational operational operational"},
		{closed(""), nil, "partial maintenance operational"},
		{closed(""), closed(""), "maintenance maintenance maintenance"},
		{closed("read-only"), nil, "partial partial operational"},
		{closed("paths"), closed("read-only"), "partial partial partial"},
	} {
		d := document()
		d.Close("shop", c.shop)
		d.Close("api", c.api)
		if got := strings.Join([]string{string(d.Status), string(d.Services["shop"].Status), string(d.Services["api"].Status)}, " "); got != c.want {
			t.Errorf("whole, shop and api are %s, want %s", got, c.want)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	d := document()
	d.Close("shop", &appstatus.Closing{Since: noon, Until: noon.Add(time.Hour)})
	for _, c := range []struct {
		after            time.Duration
		changed, overdue bool
		windows          int
	}{
		{0, false, false, 1},
		{time.Hour, false, false, 1}, // to the second: it is still the end
		{time.Hour + time.Second, true, true, 1},
		{2 * time.Hour, true, true, 0},
	} {
		at, changed := d.At(noon.Add(c.after))
		if changed != c.changed || at.Services["shop"].Closing.Overdue != c.overdue || len(at.Upcoming) != c.windows {
			t.Errorf("after %s: changed %t, %+v, %d windows", c.after, changed, at.Services["shop"].Closing, len(at.Upcoming))
		}
	}
	if d.Services["shop"].Closing.Overdue || len(d.Upcoming) != 1 {
		t.Error("At changed the document itself")
	}
}

// TestSchema holds documents to the schema that is published, and the schema to
// its promise: what it does not know passes, what it requires must be there.
func TestSchema(t *testing.T) {
	t.Parallel()
	raw, err := appstatus.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(raw []byte) error {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(v)
	}
	d := document()
	d.Close("shop", &appstatus.Closing{Since: noon, Until: noon.Add(time.Hour), Lang: "ja", Messages: map[string]appstatus.Message{"ja": {Title: "閉"}}})
	full, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(full), `"status": "partial"`, `"status": "degraded", "mood": {"of": ["the day"]}`, 1)
	for name, doc := range map[string]string{"full": string(full), "with members of a newer noren": newer} {
		if err := valid([]byte(doc)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, doc)
		}
	}
	for name, wrong := range map[string]string{
		"no schema":      strings.Replace(string(full), `"schema"`, `"scheme"`, 1),
		"another schema": strings.Replace(string(full), appstatus.Schema, "noren.app-status/v2", 1),
		"no since":       strings.Replace(string(full), `"since"`, `"before"`, 1),
		"no time":        strings.Replace(string(full), `"services": {`, `"services": [], "was": {`, 1),
	} {
		if valid([]byte(wrong)) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestParseRefusesOthers(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "{}", "[]", "<html>", `{"schema":"noren.app-status/v2"}`, strings.Repeat(" ", appstatus.MaxSize+1)} {
		if _, err := appstatus.Parse([]byte(raw)); err == nil {
			t.Errorf("%.40q was read", raw)
		}
	}
	d := document()
	d.Close("shop", &appstatus.Closing{Since: noon, Messages: map[string]appstatus.Message{"en": {Detail: strings.Repeat("x", appstatus.MaxSize)}}})
	if _, err := d.JSON(); err == nil {
		t.Error("a document larger than readers read was made")
	}
}

// A served file is one that a handler serves, at a time that the test sets.
type served struct {
	t    *testing.T
	file string
	now  time.Time
	h    *appstatus.Handler
}

func serve(t *testing.T) *served {
	s := &served{t: t, file: filepath.Join(t.TempDir(), "app-status.json"), now: noon}
	s.h = appstatus.NewHandler(s.file, func() time.Time { return s.now }, nil)
	return s
}

// put replaces the file, as noren does.
func (s *served) put(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file+".new", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.file+".new", s.file); err != nil {
		s.t.Fatal(err)
	}
}

func (s *served) putDocument(d *appstatus.Document) {
	s.t.Helper()
	raw, err := d.JSON()
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(string(raw))
}

func (s *served) ask(method string, header ...string) (*http.Response, string) {
	s.t.Helper()
	r := httptest.NewRequest(method, appstatus.Path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(body)
}

func TestHandlerSpeaksHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.putDocument(document())
	res, body := s.ask(http.MethodGet)
	etag := res.Header.Get("ETag")
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "public, max-age=30, stale-if-error=300",
		"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag", "X-Content-Type-Options": "nosniff"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if res.StatusCode != http.StatusOK || etag == "" || !strings.Contains(body, appstatus.Schema) {
		t.Fatalf("GET: %d, ETag %q, %s", res.StatusCode, etag, body)
	}
	if res, body := s.ask(http.MethodGet, "If-None-Match", etag); res.StatusCode != http.StatusNotModified || body != "" || res.Header.Get("ETag") != etag {
		t.Errorf("If-None-Match: %d %q", res.StatusCode, body)
	}
	if res, _ := s.ask(http.MethodGet, "If-None-Match", `"another"`); res.StatusCode != http.StatusOK {
		t.Errorf("If-None-Match of another: %d", res.StatusCode)
	}
	if res, head := s.ask(http.MethodHead); res.StatusCode != http.StatusOK || head != "" || res.Header.Get("ETag") != etag || res.ContentLength != int64(len(body)) {
		t.Errorf("HEAD: %d, %d bytes, %q", res.StatusCode, res.ContentLength, head)
	}
	if res, _ := s.ask(http.MethodOptions, "Origin", "https://app.example.com", "Access-Control-Request-Headers", "if-none-match"); res.StatusCode != http.StatusNoContent || res.Header.Get("Access-Control-Allow-Headers") != "If-None-Match" {
		t.Errorf("preflight: %d %v", res.StatusCode, res.Header)
	}
	if res, _ := s.ask(http.MethodPost); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
		t.Errorf("POST: %d %v", res.StatusCode, res.Header)
	}
}

// The document changes while it is served: each answer is the newest, and a
// file that cannot be read leaves the last one, and one taken away none.
func TestHandlerFollowsTheFile(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if res, _ := s.ask(http.MethodGet); res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("without a file: %d", res.StatusCode)
	}
	s.putDocument(document())
	first, _ := s.ask(http.MethodGet)
	d := document()
	d.Close("shop", &appstatus.Closing{Since: noon, Until: noon.Add(time.Hour)})
	s.putDocument(d)
	second, body := s.ask(http.MethodGet)
	if first.StatusCode != 200 || second.Header.Get("ETag") == first.Header.Get("ETag") || !strings.Contains(body, "maintenance") {
		t.Errorf("the second answer is %s", body)
	}
	if res, _ := s.ask(http.MethodGet, "If-None-Match", first.Header.Get("ETag")); res.StatusCode != http.StatusOK {
		t.Errorf("who has the first one gets %d", res.StatusCode)
	}
	s.now = noon.Add(90 * time.Minute)
	late, body := s.ask(http.MethodGet)
	if !strings.Contains(body, `"overdue": true`) || late.Header.Get("ETag") == second.Header.Get("ETag") {
		t.Errorf("past the end: %s", body)
	}
	for _, broken := range []string{"", "half a docum", "{}"} {
		s.put(broken)
		if res, kept := s.ask(http.MethodGet); res.StatusCode != 200 || kept != body {
			t.Errorf("the file holds %q: %d %s", broken, res.StatusCode, kept)
		}
	}
	if err := os.Remove(s.file); err != nil {
		t.Fatal(err)
	}
	if res, kept := s.ask(http.MethodGet); res.StatusCode != http.StatusNotFound {
		t.Errorf("the file was taken away: %d %s", res.StatusCode, kept)
	}
	s.put(`{"schema":"noren.app-status/v2","news":true}`)
	if res, newer := s.ask(http.MethodGet); res.StatusCode != 200 || !strings.Contains(newer, "news") {
		t.Errorf("a document of a newer noren: %d %s", res.StatusCode, newer)
	}
}
