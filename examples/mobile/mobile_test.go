package mobile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/noren-dev/noren/examples/mobile"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/pageserver"
)

// A phone asks once, and says what it would show.
type phone func(t *testing.T, url, version, lang string) mobile.Decision

// phones are the clients that can be run here, by their language. Those in Swift
// and Kotlin are the same, line by line, and are not run.
func phones(t *testing.T) map[string]phone {
	script := typescript(t)
	return map[string]phone{
		"Go": func(t *testing.T, url, version, lang string) mobile.Decision {
			c := &mobile.Client{URL: url, HTTP: http.DefaultClient}
			status, now := c.Fetch(t.Context())
			return status.Decide("ios", version, lang, now, "shop")
		},
		"TypeScript": func(t *testing.T, url, version, lang string) mobile.Decision {
			out := node(t, script, `
				const { status, now } = await new StatusClient(process.argv[1]).fetch();
				console.log(JSON.stringify(decide(status, "ios", process.argv[2], process.argv[3], now, ["shop"])));`, url, version, lang)
			var d mobile.Decision
			if err := json.Unmarshal(out, &d); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return d
		},
	}
}

// typescript makes JavaScript of the client, as every bundler does.
func typescript(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("appstatus.ts")
	if err != nil {
		t.Fatal(err)
	}
	out := api.Transform(string(source), api.TransformOptions{Loader: api.LoaderTS, Format: api.FormatESModule, Target: api.ES2022})
	if len(out.Errors) > 0 {
		t.Fatal(out.Errors)
	}
	path := filepath.Join(t.TempDir(), "appstatus.mjs")
	if err := os.WriteFile(path, out.Code, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// node runs statements with the client's names.
func node(t *testing.T, script, statements string, args ...string) []byte {
	t.Helper()
	code := fmt.Sprintf("import { StatusClient, decide, older } from %q;\n%s", "file://"+script, statements)
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"--input-type=module", "--eval", code, "--"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node, which runs the TypeScript client (Debian: apt-get install nodejs): %v\n%s", err, &stderr)
	}
	return out
}

// serve runs a page server on a document, and returns the document's URL.
func serve(t *testing.T, d *appstatus.Document) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "app-status.json")
	if d != nil {
		raw, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := pageserver.New(pageserver.Config{Listen: "127.0.0.1:0", Health: "127.0.0.1:0", Source: pageserver.Directory{Path: dir}, AppStatus: appstatus.NewHandler(file, time.Now, nil)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	return "http://" + s.Addrs().Listen.String() + appstatus.Path
}

func document(closing *appstatus.Closing) *appstatus.Document {
	d := &appstatus.Document{Schema: appstatus.Schema, Apps: map[string]appstatus.App{
		"ios": {Minimum: "3.9.1", Store: "https://apps.example.com/1", Message: map[string]string{"en": "Please update.", "ja": "更新してください。"}}}}
	d.Close("api", nil)
	d.Close("shop", closing)
	return d
}

func closing(until time.Time, extent string) *appstatus.Closing {
	return &appstatus.Closing{Since: time.Now().Add(-time.Hour), Until: until, Extent: extent, Lang: "ja", Messages: map[string]appstatus.Message{
		"ja": {Title: "メンテナンス中", Detail: "しばらくお待ちください。", Late: "遅れています。"},
		"en": {Title: "Closed", Detail: "Back soon.", Late: "Taking longer."}}}
}

// TestPhones shows each client documents of every kind, served by noren's own
// page server, and servers that are none.
func TestPhones(t *testing.T) {
	t.Parallel()
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	fixed := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	cases := []struct {
		name, url, version, lang string
		want                     mobile.Decision
	}{
		{"open", serve(t, document(nil)), "3.10.0", "en", mobile.Decision{Kind: "open"}},
		{"closed", serve(t, document(closing(later, ""))), "3.10.0", "en", mobile.Decision{Kind: "maintenance", Title: "Closed", Text: "Back soon."}},
		{"closed, in a language that it has not", serve(t, document(closing(later, ""))), "3.10.0", "fr", mobile.Decision{Kind: "maintenance", Title: "メンテナンス中", Text: "しばらくお待ちください。"}},
		{"overdue", serve(t, document(closing(before, ""))), "3.10.0", "en", mobile.Decision{Kind: "maintenance", Title: "Closed", Text: "Taking longer."}},
		{"no end", serve(t, document(closing(time.Time{}, ""))), "3.10.0", "en", mobile.Decision{Kind: "maintenance", Title: "Closed", Text: "Back soon."}},
		{"closed for writes only", serve(t, document(closing(later, "read-only"))), "3.10.0", "en", mobile.Decision{Kind: "open"}},
		{"old app", serve(t, document(nil)), "3.9", "ja", mobile.Decision{Kind: "update", Text: "更新してください。", Store: "https://apps.example.com/1"}},
		{"app of a version that is none", serve(t, document(nil)), "dev", "en", mobile.Decision{Kind: "open"}},
		{"no document", serve(t, nil), "1.0", "en", mobile.Decision{Kind: "open"}},
		{"a page of somebody else", fixed(200, "<html>captive portal"), "1.0", "en", mobile.Decision{Kind: "open"}},
		{"nothing of what it knows", fixed(200, `{"schema":"noren.app-status/v9","services":{"shop":{"status":"on fire"}},"more":[1]}`), "1.0", "en", mobile.Decision{Kind: "open"}},
		{"null", fixed(200, "null"), "1.0", "en", mobile.Decision{Kind: "open"}},
		{"broken", fixed(500, "oops"), "1.0", "en", mobile.Decision{Kind: "open"}},
		{"slow", slow.URL, "1.0", "en", mobile.Decision{Kind: "open"}},
		{"nobody there", "http://127.0.0.1:1/", "1.0", "en", mobile.Decision{Kind: "open"}},
	}
	for language, ask := range phones(t) {
		for _, c := range cases {
			t.Run(language+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				got := ask(t, c.url, c.version, c.lang)
				if ends := !got.Until.IsZero(); c.want.Kind == "maintenance" && ends == (c.name == "no end") {
					t.Errorf("until: %v", got.Until)
				}
				if got.Until = (time.Time{}); got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			})
		}
	}
}

// TestPhonesKeepTheDocument asks each client three times: the second is answered
// with 304, the third by nobody.
func TestPhonesKeepTheDocument(t *testing.T) {
	t.Parallel()
	script := typescript(t)
	for language, thrice := range map[string]func(t *testing.T, url string) string{
		"Go": func(t *testing.T, url string) string {
			c := &mobile.Client{URL: url, HTTP: http.DefaultClient}
			var kinds []string
			for range 3 {
				status, now := c.Fetch(t.Context())
				kinds = append(kinds, status.Decide("ios", "4", "en", now, "shop").Kind)
			}
			return strings.Join(kinds, " ")
		},
		"TypeScript": func(t *testing.T, url string) string {
			return strings.TrimSpace(string(node(t, script, `
				const c = new StatusClient(process.argv[1]), kinds = [];
				for (let i = 0; i < 3; i++) {
					const { status, now } = await c.fetch();
					kinds.push(decide(status, "ios", "4", "en", now, ["shop"]).kind);
				}
				console.log(kinds.join(" "));`, url)))
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			raw, err := document(closing(time.Now().Add(time.Hour), "")).JSON()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "app-status.json")
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			handler, asked, unchanged := appstatus.NewHandler(file, time.Now, nil), atomic.Int32{}, atomic.Int32{}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) >= 3 {
					panic(http.ErrAbortHandler) // the network goes
				}
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, r)
				if rec.Code == http.StatusNotModified {
					unchanged.Add(1)
				}
				handler.ServeHTTP(w, r)
			}))
			t.Cleanup(s.Close)
			if got := thrice(t, s.URL); got != "maintenance maintenance maintenance" || unchanged.Load() != 1 {
				t.Errorf("%s, and %d answers of 304", got, unchanged.Load())
			}
		})
	}
}

// TestVersions compares versions in both languages.
func TestVersions(t *testing.T) {
	t.Parallel()
	script := typescript(t)
	for _, c := range []struct {
		version, minimum string
		older            bool
	}{
		{"3.9", "3.10", true}, {"3.10", "3.9", false}, {"3", "3.0.0", false}, {"2.99", "3", true}, {"3.0.1", "3.0.1", false},
		{"3.0", "3.0.0.1", true}, {"", "3", false}, {"3.x", "4", true}, {"x", "4", false}, {"-1", "4", false}, {"3.2.0-beta", "3.2.1", false},
	} {
		status := &mobile.Status{}
		if err := json.Unmarshal(fmt.Appendf(nil, `{"apps":{"ios":{"minimum":%q}}}`, c.minimum), status); err != nil {
			t.Fatal(err)
		}
		inGo := status.Decide("ios", c.version, "en", time.Now()).Kind == "update"
		inTS := strings.TrimSpace(string(node(t, script, "console.log(older(process.argv[1], process.argv[2]))", c.version, c.minimum)))
		if inGo != c.older || inTS != fmt.Sprint(c.older) {
			t.Errorf("is %q older than %q? Go says %t, TypeScript %s, want %t", c.version, c.minimum, inGo, inTS, c.older)
		}
	}
}

// TestGuideShowsTheClients keeps docs/how-to/mobile-apps.md as the clients stand
// here, where they are compiled and run.
func TestGuideShowsTheClients(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "how-to", "mobile-apps.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, language := range map[string]string{"AppStatus.swift": "swift", "AppStatus.kt": "kotlin", "appstatus.ts": "ts", "appstatus.go": "go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(guide), "```"+language+"\n"+string(source)+"```\n") {
			t.Errorf("the guide does not show %s as it is", name)
		}
	}
}
