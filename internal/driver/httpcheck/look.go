package httpcheck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
)

const (
	defaultConsecutive = 3
	maxConsecutive     = 100
	// maxTry is how many commands a verdict offers: one is for looking closer,
	// not for repeating the whole check by hand.
	maxTry = 3
)

// A look is one call of a check: some requests in a row to every address of
// every URL, and what is wrong with the answers.
type look struct {
	prober *prober
	urls   []*url.URL
	// headers are those of the requests: each is sent consecutive times.
	headers     []http.Header
	consecutive int
	// silent is set where an address that does not answer is as it should be.
	silent bool
	// mayHang is set where a door that takes the connection, and gives no answer
	// on it, is as it should be.
	mayHang bool
	// wrong says what is wrong with an answer, "" if nothing is.
	wrong func(u *url.URL, a answer) string
}

// A seen is what a look saw at one door.
type seen struct {
	door  door
	sent  http.Header // of the last request
	last  answer
	wrong string
}

// A result is what a look saw altogether.
type result struct {
	seen []seen
	// skipped are addresses of names with other addresses that this machine
	// has no route to.
	skipped []seen
}

// run asks. It fails only if ctx is cancelled: what does not answer in time is
// a finding.
func (l look) run(ctx context.Context) (result, error) {
	doors := l.prober.doors(ctx, l.urls)
	all := make([]seen, len(doors))
	each(len(doors), func(i int) { all[i] = l.at(ctx, doors[i]) })
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return result{}, err
	}
	return split(all), nil
}

func (l look) at(ctx context.Context, d door) seen {
	if d.err != nil {
		last := answer{err: d.err}
		return seen{door: d, last: last, wrong: l.judge(d.url, last)}
	}
	s := seen{door: d}
	for i := range l.consecutive * len(l.headers) {
		s.sent = l.headers[i/l.consecutive]
		s.last = l.prober.ask(ctx, question{url: d.url, addr: d.addr, header: s.sent})
		if s.wrong = l.judge(d.url, s.last); s.wrong != "" {
			if i > 0 {
				s.wrong += fmt.Sprintf(" (request %d, after %d right)", i+1, i)
			}
			return s
		}
		if s.last.err != nil {
			return s // to ask it again would only take time
		}
	}
	return s
}

func (l look) judge(u *url.URL, a answer) string {
	switch {
	case a.err == nil:
		return l.wrong(u, a)
	case l.mayBeMute(a):
		return ""
	default:
		return explain(a.err)
	}
}

// mayBeMute tells whether there is no answer, and none is needed.
func (l look) mayBeMute(a answer) bool {
	return a.err != nil && (l.silent || l.mayHang && a.connected)
}

// split puts aside the addresses of a family to which this machine has no
// route, unless nothing else of their name was asked.
func split(all []seen) result {
	asked := map[string]bool{}
	for _, s := range all {
		if !noRoute(s.last.err) {
			asked[s.door.url.Host] = true
		}
	}
	var r result
	for _, s := range all {
		if noRoute(s.last.err) && asked[s.door.url.Host] {
			r.skipped = append(r.skipped, s)
		} else {
			r.seen = append(r.seen, s)
		}
	}
	return r
}

// verdict puts the result into words. good is what is said of the addresses if
// all are right, bad the heading of the findings.
func (l look) verdict(r result, good, bad string) action.Verdict {
	var v action.Verdict
	for _, s := range r.seen {
		if s.wrong == "" {
			continue
		}
		v.Findings = append(v.Findings, s.door.String()+": "+s.wrong)
		if len(v.Try) < maxTry && s.door.addr.IsValid() {
			v.Try = append(v.Try, l.curl(s))
		}
	}
	count := counted(len(l.urls), "URL") + ", " + counted(len(r.seen), "address")
	if v.OK = len(v.Findings) == 0; v.OK {
		v.Summary = fmt.Sprintf("%s (%s)", good, count)
	} else {
		v.Summary = fmt.Sprintf("%s: %d of %s", bad, len(v.Findings), counted(len(r.seen), "address"))
	}
	if mute := l.mute(r); len(mute) > 0 {
		v.Summary += "; without an answer: " + strings.Join(mute, "; ")
	}
	if len(r.skipped) > 0 {
		v.Summary += "; not asked, as this machine has no route to them: " + addresses(r.skipped)
	}
	return v
}

// mute says which doors gave no answer and why, where that is not wrong.
func (l look) mute(r result) []string {
	var list []string
	for _, s := range r.seen {
		if l.mayBeMute(s.last) {
			list = append(list, s.door.String()+": "+explain(s.last.err))
		}
	}
	return list
}

func addresses(all []seen) string {
	var list []string
	said := map[netip.AddrPort]bool{}
	for _, s := range all {
		if !said[s.door.addr] {
			said[s.door.addr] = true
			list = append(list, s.door.addr.String())
		}
	}
	return strings.Join(list, ", ")
}

// curl is the command by which a person sees the same answer. It leaves the
// pass out: verdicts are kept and shown.
func (l look) curl(s seen) string {
	d := s.door
	args := []string{"curl", "-sS", "-i"}
	port := d.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[d.url.Scheme]
	}
	args = append(args, "--connect-to", quoted(d.url.Hostname()+":"+port+":"+d.addr.String()))
	if l.prober.caFile != "" {
		args = append(args, "--cacert", quoted(l.prober.caFile))
	}
	if s.sent.Get(edge.ProbeHeader) != "" {
		args = append(args, "-H", quoted(edge.ProbeHeader+": 1"))
	}
	return strings.Join(append(args, quoted(d.url.String())), " ")
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
