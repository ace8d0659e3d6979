package gate

import (
	"net/http"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/appstatus"
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
	if g.status != nil && r.URL.Path == appstatus.Path {
		g.status.ServeHTTP(w, r)
		return "noren: app status"
	}
	t := g.table.Load()
	req := g.request(r)
	d := t.rules.Decide(req)
	if d.Index < 0 {
		edgehttp.Answer(w, r, *d.Action.Response)
		return d.Rule
	}
	door := g.doors[t.owner[d.Index]]
	if d.Action.Kind == edge.Respond {
		door.closed.Add(1)
		tellProbe(w, t, req)
		edgehttp.AnswerClosed(w, r, *d.Action.Response)
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
