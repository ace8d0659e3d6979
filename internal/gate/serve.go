package gate

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/edge"
)

// ServeHTTP answers a customer: with the closed page, or by the application.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.config.AccessLog {
		g.serve(w, r)
		return
	}
	rec := &recorder{ResponseWriter: w}
	start := time.Now()
	defer func() { g.logAccess(r, rec, time.Since(start)) }()
	rec.rule = g.serve(rec, r)
}

// serve answers, and names the rule that did.
func (g *Gate) serve(w http.ResponseWriter, r *http.Request) string {
	t := g.table.Load()
	req := g.request(r)
	d := t.rules.Decide(req)
	if d.Index < 0 {
		respond(w, r, *d.Action.Response)
		return d.Rule
	}
	door := g.doors[t.owner[d.Index]]
	if d.Action.Kind == edge.Respond {
		door.closed.Add(1)
		tellProbe(w, t, req)
		if !preflight(w, r) {
			respond(w, r, *d.Action.Response)
		}
		return d.Rule
	}
	door.forward(w, r)
	return d.Rule
}

// tellProbe tells a probe by which address the gate saw it, and the rule that its
// request would have met without the probe's header. A person who finds a
// balancer's address there knows why everyone passes. A visitor who sends the
// header learns how the gate sees this visitor, and nothing of others.
func tellProbe(w http.ResponseWriter, t *table, req edge.Request) {
	if req.Header.Get(edge.ProbeHeader) == "" {
		return
	}
	req.Header = req.Header.Clone()
	req.Header.Del(edge.ProbeHeader)
	rule := "open"
	for _, r := range t.rules.Rules {
		if r.Matches(req) {
			if r.OfCurtain() {
				rule = strings.TrimPrefix(r.Name, "noren: ")
			}
			break
		}
	}
	w.Header().Set(edge.SeenHeader, req.Source.String()+"; "+rule)
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

func respond(w http.ResponseWriter, r *http.Request, p edge.Response) {
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

// A recorder keeps what the access log says.
type recorder struct {
	http.ResponseWriter
	status int
	rule   string
}

func (r *recorder) WriteHeader(status int) {
	if r.status < http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController what it needs, for WebSockets.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// logAccess writes neither headers nor the query: they hold passes and secrets.
func (g *Gate) logAccess(r *http.Request, rec *recorder, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	g.log.Info("request", "method", r.Method, "host", r.Host, "path", r.URL.EscapedPath(),
		"status", status, "rule", rec.rule, "source", g.source(r).String(), "took", took)
}
