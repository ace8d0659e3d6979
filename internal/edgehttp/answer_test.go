package edgehttp

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
)

func TestAcceptChooses(t *testing.T) {
	const html, json = "text/html; charset=utf-8", "application/problem+json"
	for _, c := range []struct{ main, accept, want string }{
		{html, "", html},
		{html, "*/*", html},
		{html, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", html}, // a browser
		{html, "application/json", json},
		{html, "application/problem+json", json},
		{html, "application/json, text/plain, */*", json}, // axios
		{html, "APPLICATION/JSON", json},
		{html, "text/html;q=0.5, application/json;q=0.4", html},
		{html, "text/html;q=0.4, application/json;q=0.5", json},
		{html, "text/html;q=0, */*", json},
		{html, "text/*;q=0.9, application/*", json},
		{html, "image/png", html}, // neither: the page itself
		{html, "nonsense; ; ,,/", html},
		{html, "application/json;q=NaN", json},
		{json, "", json},
		{json, "*/*", json},
		{json, "text/html,*/*;q=0.8", html},
	} {
		twin := edge.Twin{ContentType: json}
		if c.main == json {
			twin.ContentType = html
		}
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		AnswerClosed(w, r, edge.Response{Status: 503, ContentType: c.main, Twin: &twin})
		if got := w.Header().Get("Content-Type"); got != c.want {
			t.Errorf("%s by default, Accept %q: %s, want %s", c.main, c.accept, got, c.want)
		}
		if !strings.Contains(w.Header().Get("Vary"), "Accept") {
			t.Errorf("Accept %q: Vary is %q", c.accept, w.Header().Get("Vary"))
		}
	}
}
