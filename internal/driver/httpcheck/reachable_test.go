package httpcheck_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/driver/httpcheck"
)

// TestReachable judges the way to a door, not what is behind it.
func TestReachable(t *testing.T) {
	t.Parallel()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := refusing.Addr().String()
	if err := refusing.Close(); err != nil {
		t.Fatal(err)
	}
	sick, _ := serve(t, "127.0.0.1:0", text(500, "sorry"), false)
	hangsUp, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), false)
	hangs, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), false)
	strange, _ := serve(t, "127.0.0.1:0", text(200, "hello"), true)
	silent := check(t, resolving(nobody), "http/open", httpcheck.OpenParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark, Silent: true})
	if !silent.OK || !strings.Contains(silent.Summary, "without an answer: http://shop.example.com/ at "+nobody+": connection refused") {
		t.Errorf("got %+v, want that what does not answer shows no page", silent)
	}
	for name, c := range map[string]struct {
		url, addr string
		want      string // of the summary; of the finding where it begins with "!"
	}{
		"a sick application":       {"http://shop.example.com/", sick, "every address can be asked from here"},
		"one that hangs up":        {"http://shop.example.com/", hangsUp, "without an answer: http://shop.example.com/ at " + hangsUp},
		"one that hangs":           {"http://shop.example.com/", hangs, "no answer in time"},
		"nobody there":             {"http://shop.example.com/", nobody, "!connection refused"},
		"a certificate of its own": {"https://shop.example.com/", strange, "!signed by an authority unknown here"},
		"no TLS there":             {"https://shop.example.com/", sick, "!no TLS is spoken"},
		"no such name":             {"http://nowhere.invalid/", sick, "!nowhere.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := resolving(c.addr)
			cfg.Timeout = "20s" // a busy machine may take its time
			if c.addr == hangs {
				cfg.Timeout = "200ms"
			}
			v := check(t, cfg, "http/reachable", httpcheck.ReachableParams{URLs: httpcheck.URLs{c.url}})
			if finding, wrong := strings.CutPrefix(c.want, "!"); wrong {
				wantFinding(t, v, finding)
				return
			}
			if !v.OK || !strings.Contains(v.Summary, c.want) {
				t.Errorf("got %+v, want %q", v, c.want)
			}
		})
	}
}
