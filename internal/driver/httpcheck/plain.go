package httpcheck

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
)

// tellPassing adds to the good verdict of a probe that saw the page where a
// request without the probe's header passes. The verdict stays good: noren may
// run where staff do. The person must know, since a proxy's address among
// staff's lets everyone pass while every probe sees the page.
func (c *closed) tellPassing(ctx context.Context, probed result, v *action.Verdict) error {
	seenAs := map[string]string{}
	for _, s := range probed.seen {
		seenAs[s.door.String()] = s.last.seen
	}
	passing, err := c.passing(ctx, probed)
	if err != nil {
		return err
	}
	var kinds []string // of findings, in the order met
	doors := map[string][]string{}
	for _, s := range passing {
		kind := passes(seenAs[s.door.String()], s.last)
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		doors[kind] = append(doors[kind], s.door.String())
	}
	for _, kind := range kinds {
		v.Findings = append(v.Findings, someOf(doors[kind])+": "+kind)
	}
	if len(passing) > 0 && c.params.Plain {
		v.Try = append(v.Try, c.look.curl(passing[0]))
	}
	return nil
}

// passing are the doors at which a plain request is let through: it is sent if
// the parameters say so, else the gate's word is taken.
func (c *closed) passing(ctx context.Context, probed result) ([]seen, error) {
	if !c.params.Plain {
		return slices.DeleteFunc(slices.Clone(probed.seen), func(s seen) bool {
			_, rule, _ := strings.Cut(s.last.seen, "; ")
			return rule != edge.ByAddress
		}), nil
	}
	plain := c.look
	plain.headers, plain.consecutive = []http.Header{header(false, "")}, 1
	plain.wrong = func(_ *url.URL, a answer) string {
		if a.marked {
			return ""
		}
		return "let through"
	}
	r, err := plain.run(ctx)
	return slices.DeleteFunc(r.seen, func(s seen) bool { return s.wrong == "" }), err
}

// passes says what a plain request shows, and what is to be thought of it.
func passes(seenAs string, a answer) string {
	const everyone = "that of a proxy or load balancer, EVERYONE passes"
	switch {
	case a.err != nil:
		return fmt.Sprintf("a plain request from this machine does not get the page: %s", explain(a.err))
	case seenAs != "":
		address, rule, _ := strings.Cut(excerpt(seenAs), "; ")
		return fmt.Sprintf("a plain request from this machine passes as staff: seen as %s (%s). If that address is not this machine's, but %s: name it in the gate's trusted_proxies", address, rule, everyone)
	default:
		return fmt.Sprintf("a plain request from this machine passes as staff. The door does not tell by which address it saw it: if not by this machine's, but by %s. Ask from a network that is not staff's", everyone)
	}
}

// someOf names the first of several things, and how many more there are.
func someOf(names []string) string {
	if len(names) > 1 {
		return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
	}
	return strings.Join(names, "")
}
