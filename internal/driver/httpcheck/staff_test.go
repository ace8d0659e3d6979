package httpcheck_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/driver/httpcheck"
	"github.com/noren-dev/noren/internal/edge"
)

func TestStaffGetIn(t *testing.T) {
	t.Parallel()
	const pass = "s3cr3tpass"
	curtain := func(behind http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(edge.PassHeader) == pass && r.Header.Get(edge.ProbeHeader) == "" {
				behind(w, r)
				return
			}
			ourPage(503, mark)(w, r)
		}
	}
	// An application that sends back what it was sent, as debug pages do.
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain; x="+pass)
			w.WriteHeader(status)
			fmt.Fprint(w, strings.Repeat("x", 75), r.Header) // the excerpt ends amid the pass
			fmt.Fprint(w, pass)
		}
	}
	for name, c := range map[string]struct {
		door http.HandlerFunc
		want string // "": OK
	}{
		"in":                        {door: curtain(text(200, "hello"))},
		"in, to a login":            {door: curtain(redirect(302, "/login"))},
		"in, and nothing is there":  {door: curtain(text(404, "no such page"))},
		"no target is healthy yet":  {curtain(text(503, "no target")), "503, but not noren's page"},
		"the rules are not yet up":  {ourPage(503, mark), "noren's page also with the pass (503, mark " + mark + ")"},
		"an application that tells": {curtain(echo(500)), "500 from the application"},
		"one that tells at once": {curtain(func(w http.ResponseWriter, r *http.Request) {
			text(500, "pass="+r.Header.Get(edge.PassHeader))(w, r)
		}), "pass=•••"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := serve(t, "127.0.0.1:0", c.door, false)
			v := check(t, resolving(addr), "http/staff", httpcheck.StaffParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Pass: pass})
			if c.want != "" {
				wantFinding(t, v, c.want)
			} else if !v.OK {
				t.Errorf("got %+v, want OK", v)
			}
			if said := fmt.Sprint(v); strings.Contains(said, pass[:6]) {
				t.Errorf("the pass is told: %s", said)
			}
		})
	}
}
