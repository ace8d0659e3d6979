package gate

import (
	"net/http"
	"time"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/edgehttp"
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
	d := t.rules.Decide(g.request(r))
	if d.Index < 0 {
		edgehttp.Answer(w, r, *d.Action.Response)
		return d.Rule
	}
	door := g.doors[t.owner[d.Index]]
	if d.Action.Kind == edge.Respond {
		door.closed.Add(1)
		edgehttp.AnswerClosed(w, r, *d.Action.Response)
		return d.Rule
	}
	door.forward(w, r)
	return d.Rule
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
