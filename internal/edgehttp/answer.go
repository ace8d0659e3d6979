// Package edgehttp is what noren's own HTTP servers share: how a closed page
// is answered, how a request is read for a rule, and the bounds and the end of
// a server that strangers talk to.
package edgehttp

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
)

// AnswerClosed answers a request with a closed page: to a CORS preflight so
// that a script may read the page, to anything else with the page itself, or
// with its twin where Accept prefers that.
func AnswerClosed(w http.ResponseWriter, r *http.Request, p edge.Response) {
	if preflight(w, r) {
		return
	}
	if p.Twin != nil {
		w.Header().Add("Vary", "Accept")
		if accept := r.Header.Values("Accept"); appeal(accept, p.Twin.ContentType) > appeal(accept, p.ContentType) {
			p = p.AsTwin()
		}
	}
	Answer(w, r, p)
}

// preflight lets a script of another origin read the closed page, by the CORS
// protocol (https://fetch.spec.whatwg.org/#http-cors-protocol): a single-page
// application that could not would show its users a network error. The page
// is public and the same for everyone, so any origin may. It answers a
// preflight request itself and reports that.
func preflight(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", method)
	if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	// Nothing that was allowed here may be remembered once the door is open.
	h.Set("Access-Control-Max-Age", "0")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// Answer answers with a response as it is. No cache may keep it: it is true
// for as long as the door is closed, which no cache knows.
func Answer(w http.ResponseWriter, r *http.Request, p edge.Response) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	for k, v := range p.Header {
		h.Set(k, v)
	}
	h.Set("Content-Type", p.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(p.Body)))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		// The customer may be gone; there is nobody to tell.
		_, _ = io.WriteString(w, p.Body)
	}
}

// appeal is how much Accept likes a content type: first its quality in
// thousandths, then how precisely it names the type, so that "application/json,
// */*" means JSON. Source: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1
func appeal(accept []string, contentType string) int {
	best, precise := -1, -1
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		p := precision(name, contentType)
		if p < 0 || p < precise {
			continue
		}
		quality := 1000
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q >= 0 && q <= 1 {
			quality = int(1000 * q)
		}
		if p > precise {
			best, precise = -1, p
		}
		best = max(best, 10*quality+p)
	}
	return best
}

// precision is how precisely a range of Accept names a content type, -1 if not
// at all. application/json names any type whose suffix says that it is JSON:
// that is what its readers can read.
func precision(name, contentType string) int {
	bare, _, _ := strings.Cut(contentType, ";")
	bare = strings.ToLower(strings.TrimSpace(bare))
	kind, _, _ := strings.Cut(bare, "/")
	switch {
	case name == bare, name == "application/json" && strings.HasSuffix(bare, "+json"):
		return 2
	case name == kind+"/*":
		return 1
	case name == "*/*":
		return 0
	}
	return -1
}
