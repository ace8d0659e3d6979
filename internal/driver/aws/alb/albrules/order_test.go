package albrules

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/noren-dev/noren/internal/edge"
)

// A table is a listener that keeps to AWS's rules for priorities.
type table struct {
	Listener
	made int
}

// do makes one call. It fails as AWS does.
func (b *table) do(s Step) error {
	after := slices.Clone(b.Rules)
	switch {
	case s.Create != nil:
		b.made++
		if reasons := s.Create.Limits(); len(reasons) > 0 {
			return fmt.Errorf("limits: %v", reasons)
		}
		own := s.Create.Own
		after = append(after, Placed{ARN: fmt.Sprint("own-", b.made), Priority: s.Create.Priority, Rule: s.Create.Rule, Own: &own})
	case s.Delete != "":
		after = slices.DeleteFunc(after, func(p Placed) bool { return p.ARN == s.Delete })
		if len(after) == len(b.Rules) {
			return fmt.Errorf("no rule %s", s.Delete)
		}
	default:
		for _, o := range s.Order {
			at := slices.IndexFunc(after, func(p Placed) bool { return p.ARN == o.ARN })
			if at < 0 {
				return fmt.Errorf("no rule %s", o.ARN)
			}
			after[at].Priority = o.Priority
		}
	}
	seen := map[int]bool{}
	for _, p := range after {
		if seen[p.Priority] || p.Priority < 1 || p.Priority > MaxPriority {
			return fmt.Errorf("priority %d of %s is taken or out of range", p.Priority, p.ARN)
		}
		seen[p.Priority] = true
	}
	b.Rules = after
	b.Sorted()
	return nil
}

// users is what the user knows of the listener.
func (b *table) users() string {
	var out []string
	for _, u := range b.Users() {
		out = append(out, fmt.Sprint(u.ARN, "@", u.Priority))
	}
	return strings.Join(out, " ")
}

func forward(group string) []Action {
	return []Action{{Type: TypeForward, Forward: &Forward{Groups: []Group{{ARN: "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/" + group + "/1", Weight: 1}}}}}
}

const testMark = "m-1"

func testPage() edge.Response {
	return edge.Response{Status: http.StatusServiceUnavailable, ContentType: "text/html", Body: "closed " + testMark, Mark: testMark}
}

func markIn(body string) string {
	if strings.Contains(body, testMark) {
		return testMark
	}
	return ""
}

var (
	drawnHosts = []string{"shop.example.com", "api.example.com", "www.example.com"}
	drawnPaths = []string{"/*", "/a", "/a/*", "/b/*"}
)

func drawListener(t *rapid.T) *table {
	b := &table{Listener: Listener{ARN: "l", Port: 443, Protocol: "HTTPS", Default: forward("default")}}
	numbers := rapid.SliceOfNDistinct(rapid.OneOf(rapid.IntRange(1, 12), rapid.IntRange(1, 40000)), 0, 5, rapid.ID).Draw(t, "priorities")
	for i, n := range numbers {
		var conditions []Condition
		if hosts := rapid.SliceOfNDistinct(rapid.SampledFrom(append(drawnHosts, "*.example.com")), 0, 2, rapid.ID).Draw(t, "hosts"); len(hosts) > 0 {
			conditions = append(conditions, Condition{Field: FieldHost, Values: hosts})
		}
		if rapid.Bool().Draw(t, "path") || len(conditions) == 0 {
			conditions = append(conditions, Condition{Field: FieldPath, Values: []string{rapid.SampledFrom(drawnPaths).Draw(t, "path")}})
		}
		if rapid.IntRange(0, 3).Draw(t, "more") == 0 {
			conditions = append(conditions, Condition{Field: FieldHeader, Name: "X-A", Values: []string{"1"}})
		}
		b.Rules = append(b.Rules, Placed{ARN: fmt.Sprint("user-", i), Priority: n, Rule: Rule{Conditions: conditions, Actions: forward(fmt.Sprint("g", rapid.IntRange(0, 2).Draw(t, "group")))}})
	}
	b.Sorted()
	return b
}

func drawClosing(t *rapid.T) (Scope, edge.Closing) {
	s := Scope{Hosts: rapid.SliceOfNDistinct(rapid.SampledFrom(drawnHosts), 0, 3, rapid.ID).Draw(t, "scope hosts"),
		Paths: rapid.SliceOfNDistinct(rapid.SampledFrom(drawnPaths[1:]), 0, 2, rapid.ID).Draw(t, "scope paths")}
	c := edge.Closing{Mark: testMark, Hosts: s.Hosts, Page: testPage(), Mode: rapid.SampledFrom([]edge.Mode{edge.Closed, edge.Closed, edge.ReadOnly, edge.Paths}).Draw(t, "mode"),
		KeepOpen: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"/a/open", "/a/*", "/hook"}), 0, 2, rapid.ID).Draw(t, "open")}
	if c.Mode == edge.Paths {
		c.Paths = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"/a", "/a/*", "/b/x"}), 1, 2, rapid.ID).Draw(t, "closed")
	}
	if rapid.Bool().Draw(t, "pass") {
		c.Bypass.Pass = "s3cret"
	}
	for i := range rapid.IntRange(0, 7).Draw(t, "sources") {
		c.Bypass.Sources = append(c.Bypass.Sources, netip.MustParsePrefix(fmt.Sprintf("203.0.113.%d/32", i)))
	}
	return s, c
}

// requests are of every kind that the drawn rules tell apart.
func requests() []edge.Request {
	var out []edge.Request
	for _, host := range []string{"shop.example.com", "www.example.com", "example.org"} {
		for _, path := range []string{"/", "/a", "/a/x", "/a/open", "/b/x"} {
			for _, h := range []http.Header{{}, {"X-A": {"1"}}, {"X-Noren-Pass": {"s3cret"}}, {"Cookie": {"a=b; noren_pass=s3cret"}, "X-A": {"1"}}} {
				for _, from := range []string{"198.51.100.1", "203.0.113.3"} {
					for _, method := range []string{http.MethodGet, http.MethodPost} {
						if from != "198.51.100.1" && len(h) > 0 {
							continue
						}
						out = append(out, edge.Request{Scheme: "https", Host: host, Path: path, Method: method, Header: h, Source: netip.MustParseAddr(from)})
					}
				}
			}
		}
	}
	return out
}

// sees is what the listener shows for each request.
func sees(l Listener, all []edge.Request) []string {
	out := make([]string, len(all))
	front := l.Edge(markIn)
	for i, r := range all {
		out[i] = shown(front.Decide(r))
	}
	return out
}

func shown(d edge.Decision) string {
	if d.Action.Response != nil && d.Action.Response.Mark != "" {
		return "the page"
	}
	return d.Action.String()
}

// wanted is what a request is to see, by what it saw before and the definition
// in package edge.
func wanted(s Scope, c edge.Closing, r edge.Request, before string) string {
	in := edge.Rule{}
	for _, condition := range s.conditions() {
		in.Conditions = append(in.Conditions, condition.edge())
	}
	if !in.Matches(r) {
		return before
	}
	for _, rule := range edge.Curtain(c) {
		if !rule.Matches(r) {
			continue
		}
		if rule.Action.Kind == edge.Pass {
			return before
		}
		return "the page"
	}
	return before
}

// TestEveryMomentIsOpenOrClosed puts curtains up and takes them down, call by
// call, and looks after every call: customers meet the listener as it was or as
// it is to be, never a mixture; and so it is wherever the work is broken off and
// turned round. In the end the user's rules are exactly where they were.
func TestEveryMomentIsOpenOrClosed(t *testing.T) {
	t.Parallel()
	all := requests()
	refused, runs := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		b := drawListener(t)
		// Another closing may be there already.
		if rapid.Bool().Draw(t, "another") {
			other, _ := Draw(b.Listener, Scope{Hosts: []string{"blog.example.com"}}, edge.Closing{Mark: testMark, Page: testPage(), Mode: edge.Closed, Bypass: edge.Bypass{Pass: "x"}})
			curtain, err := Curtain{ID: "other", Rules: other.Rules}.Known(b.Listener)
			if err != nil {
				t.Fatal(err)
			}
			run(t, b, curtain.Up, func() {}, -1)
		}
		before, users := sees(b.Listener, all), b.users()
		scope, closing := drawClosing(t)
		drawn, err := Draw(b.Listener, scope, closing)
		runs++
		if err != nil {
			refused++
			return
		}
		curtain, err := Curtain{ID: "c", Rules: drawn.Rules}.Known(b.Listener)
		if err != nil {
			t.Fatal(err)
		}
		if curtain.Roomy(b.Listener) {
			curtain.Rules = drawn.Bare().Rules
		}
		after := make([]string, len(all))
		for i, r := range all {
			after[i] = wanted(scope, closing, r, before[i])
		}
		moment := func() {
			now := sees(b.Listener, all)
			open, shut := true, true
			var at int
			for i := range all {
				if open, shut = open && now[i] == before[i], shut && now[i] == after[i]; !open && !shut {
					at = i
					break
				}
			}
			if !open && !shut {
				t.Fatalf("half open: %s %s%s %v from %s sees %s, before %s, after %s\n%s", all[at].Method, all[at].Host, all[at].Path, all[at].Header, all[at].Source, now[at], before[at], after[at], b.drawing())
			}
		}
		turn := rapid.IntRange(-1, 12).Draw(t, "turn")
		if run(t, b, curtain.Up, moment, turn) {
			if now := sees(b.Listener, all); !slices.Equal(now, after) || !curtain.InFront(b.Listener) {
				i := 0
				for i < len(now)-1 && now[i] == after[i] {
					i++
				}
				t.Fatalf("closed, %s%s %v sees %s, wants %s\n%s", all[i].Host, all[i].Path, all[i].Header, now[i], after[i], b.drawing())
			}
		}
		if turn := rapid.IntRange(-1, 12).Draw(t, "turn back"); !run(t, b, curtain.Down, moment, turn) {
			run(t, b, curtain.Up, moment, -1)
			run(t, b, curtain.Down, moment, -1)
		}
		if now := b.users(); now != users || len(b.Of("c")) > 0 {
			t.Fatalf("the rules were %s and are %s\n%s", users, now, b.drawing())
		}
		if !slices.Equal(sees(b.Listener, all), before) {
			t.Fatal("not as before")
		}
	})
	if refused*3 > runs {
		t.Errorf("%d of %d closings were refused", refused, runs)
	}
}

// run makes the calls until none is left, and tells whether that was so before
// the turn-th call (-1: never broken off).
func run(t *rapid.T, b *table, next func(Listener) ([]Step, error), moment func(), turn int) bool {
	calls := 0
	for range 40 {
		steps, err := next(b.Listener)
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) == 0 {
			return true
		}
		for _, s := range steps {
			if calls == turn {
				return false
			}
			calls++
			if err := b.do(s); err != nil {
				t.Fatalf("%v\n%s", err, b.drawing())
			}
			moment()
		}
	}
	t.Fatalf("it does not end\n%s", b.drawing())
	return false
}

// drawing is the listener for a person who looks for a mistake.
func (l Listener) drawing() string {
	var out strings.Builder
	for _, p := range l.Rules {
		fmt.Fprintf(&out, "%6d %s %s → %s\n", p.Priority, ruleName(l, p), words(p.Conditions), edgeAction(p.Actions, markIn))
	}
	return out.String()
}
