package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// checkClosing says what is wrong with a closing for a door, "" if nothing is.
func checkClosing(d Door, c edge.Closing) string {
	switch {
	case c.Mark == "":
		return "The closing has no mark, by which a probe knows the page as noren's."
	case c.Mode != edge.Closed && c.Mode != edge.ReadOnly && c.Mode != edge.Paths:
		return fmt.Sprintf("%q is no mode; use closed, read-only or paths.", c.Mode)
	case c.Mode == edge.Paths && len(c.Paths) == 0:
		return "The mode paths names no paths to close."
	case strings.ContainsAny(c.Bypass.Pass, "*? ;,"):
		return "The pass contains one of * ? ; , or a space, so that others would pass too, or nobody. Use letters and digits."
	}
	for _, h := range c.Hosts {
		if len(d.Hosts) > 0 && !(edge.Rule{Conditions: []edge.Condition{{Field: edge.Host, Values: d.Hosts}}}).Matches(edge.Request{Host: h}) {
			return fmt.Sprintf("The host %s is not served by the door %s, which serves %s.", h, d.Name, strings.Join(d.Hosts, ", "))
		}
	}
	return checkPage(c.Page)
}

func checkPage(p edge.Response) string {
	switch {
	case p.Status < 200 || p.Status > 599:
		return fmt.Sprintf("%d is no status for a page; the usual one is 503.", p.Status)
	case p.ContentType == "" || !httpguts.ValidHeaderFieldValue(p.ContentType):
		return fmt.Sprintf("%q is no content type.", p.ContentType)
	case len(p.Body) > gateapi.MaxPage:
		return fmt.Sprintf("The page has %d bytes, %d more than a gate serves.", len(p.Body), len(p.Body)-gateapi.MaxPage)
	}
	for k, v := range p.Header {
		if !httpguts.ValidHeaderFieldName(k) || !httpguts.ValidHeaderFieldValue(v) {
			return fmt.Sprintf("The header %q: %q cannot be sent.", k, v)
		}
	}
	if p.Twin != nil {
		return checkPage(p.AsTwin())
	}
	return ""
}

const healthTimeout = 5 * time.Second

// getHealth asks the application itself, behind the curtain.
func (g *Gate) getHealth(w http.ResponseWriter, r *http.Request, i int) {
	answer(w, http.StatusOK, g.health(r.Context(), g.doors[i].config))
}

func (g *Gate) health(ctx context.Context, d Door) gateapi.Health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	path := d.Health
	if path == "" {
		path = "/"
	}
	h := gateapi.Health{URL: strings.TrimSuffix(d.Backend, "/") + path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		h.Error = err.Error()
		return h
	}
	if len(d.Hosts) > 0 && !strings.HasPrefix(d.Hosts[0], "*") {
		req.Host = d.Hosts[0]
	}
	res, err := g.transport.RoundTrip(req) // no redirects are followed
	if err != nil {
		h.Error = err.Error()
		return h
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection is used again
	h.Status = res.StatusCode
	// A health path answers 2xx; where none is known, anything shows that the
	// application is there unless it says that it is broken.
	h.OK = h.Status/100 == 2 || d.Health == "" && h.Status < 500
	return h
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
