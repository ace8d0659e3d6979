package kube

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

func TestCloseRefuses(t *testing.T) {
	hostless := strings.Replace(webInGroup, "  - host: www.example.com\n    http:", "  - http:", 1)
	long := testPage()
	long.Body = strings.Repeat("x", 1025)
	for _, c := range []struct {
		name, members, strategy string
		closing                 edge.Closing
		page                    *edge.Response
		want                    []string
	}{
		{name: "hostless in a shared group", members: hostless + teamInGroup,
			want: []string{"closing any host would close others", "team/admin", "hosts: [shop.example.com]"}},
		{name: "no room in front", members: webInGroup + strings.Replace(teamInGroup, `"-10"`, `"-1000"`, 1),
			want: []string{"no room in front of the group", "team/admin has group.order -1000"}},
		{name: "room for one, not for three", members: webInGroup + strings.Replace(teamInGroup, `"-10"`, `"-999"`, 1),
			closing: edge.Closing{Bypass: edge.Bypass{Pass: testPass}}, want: []string{"needs 3 places"}},
		{name: "overlay without a group", members: webAlone, strategy: StrategyOverlay, want: []string{"overlay needs an explicit group", "strategy: patch"}},
		{name: "a host of nobody", members: webInGroup, closing: edge.Closing{Hosts: []string{"shop.example.con"}},
			want: []string{"host is not served here", "Did you mean shop.example.com?"}},
		{name: "a page too long", members: webInGroup, page: &long, want: []string{"page does not fit", "1025 characters, 1 more", "noren page check"}},
		{name: "no paths", members: webInGroup, closing: edge.Closing{Mode: edge.Paths}, want: []string{"no paths to close"}},
		{name: "a path without a slash", members: webInGroup, closing: edge.Closing{KeepOpen: []string{"healthz"}}, want: []string{"must begin with /"}},
		{name: "a pass with a wildcard", members: webInGroup, closing: edge.Closing{Bypass: edge.Bypass{Pass: "a*"}}, want: []string{"malformed pass"}},
		{name: "kept open among regular expressions",
			members: strings.NewReplacer("path: /cart, pathType: Prefix", "path: /^/c, pathType: ImplementationSpecific",
				"{path: /, pathType: Prefix", "{path: /shop, pathType: Prefix",
				"healthcheck-path: /healthz", "use-regex-path-match: \"true\"").Replace(webInGroup),
			closing: edge.Closing{KeepOpen: []string{"/healthz"}}, want: []string{"path cannot be kept open", "regular expressions"}},
		{name: "staff by address where addresses count already",
			members: strings.Replace(webAlone, `"http-header","httpHeaderConfig":{"httpHeaderName":"X-Beta","values":["1"]}`, `"source-ip","sourceIPConfig":{"values":["10.0.0.0/8"]}`, 1),
			closing: edge.Closing{Bypass: edge.Bypass{Sources: prefixList("203.0.113.0/24")}}, want: []string{"staff cannot be let through by address", "A pass"}},
		{name: "more rules than there may be", members: manyPaths(60), closing: edge.Closing{Bypass: edge.Bypass{Pass: testPass}},
			want: []string{"closing does not fit the load balancer", "listener rules"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := testPage()
			if c.page != nil {
				page = *c.page
			}
			if c.closing.Mode == "" {
				c.closing.Mode = edge.Closed
			}
			e, s := surveyed(t, c.members, c.strategy)
			_, err := e.Close(s, withPage(c.closing, page))
			var f *fault.Fault
			if !errors.As(err, &f) {
				t.Fatalf("no fault: %v", err)
			}
			said := f.Error() + " " + strings.Join(f.Try, "\n")
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("%q does not say %q", said, w)
				}
			}
		})
	}
}

// manyPaths is an Ingress with n paths.
func manyPaths(n int) string {
	var b strings.Builder
	b.WriteString("metadata: {name: web, namespace: shop}\nspec:\n  ingressClassName: alb\n  rules:\n  - host: shop.example.com\n    http:\n      paths:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - {path: /%d, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}\n", i)
	}
	return b.String()
}
