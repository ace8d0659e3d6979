package albrules

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

func at(priority int, r Rule) Placed {
	return Placed{ARN: fmt.Sprint("r/", priority), Priority: priority, Rule: r}
}

func refusedWith(t *testing.T, err error, words ...string) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a fault", err)
	}
	for _, w := range words {
		if !strings.Contains(f.Detail+strings.Join(f.Try, "\n"), w) {
			t.Errorf("it does not say %q: %+v", w, f)
		}
	}
}

// What cannot be said is refused, and the fault says why.
func TestWhatCannotBeSaid(t *testing.T) {
	t.Parallel()
	shop := Scope{Hosts: []string{"shop.example.com"}, Paths: []string{"/cart/*"}}
	login := []Action{{Type: TypeOIDC, OIDC: "https://login.example.com"}, forward("web")[0]}
	pass := edge.Closing{Page: testPage(), Mode: edge.Closed, Bypass: edge.Bypass{Pass: "x"}}
	for name, tt := range map[string]struct {
		l    Listener
		c    edge.Closing
		says []string
	}{
		"a login": {Listener{Port: 443, Default: forward("web"), Rules: []Placed{at(5, Rule{Conditions: []Condition{{Field: FieldHost, Values: []string{"shop.example.com"}}}, Actions: login})}},
			pass, []string{"Rule 5 on port 443", "https://login.example.com", "client secret"}},
		"a login by default": {Listener{Port: 443, Default: login}, pass, []string{"The default action"}},
		"crossing paths": {Listener{Port: 443, Default: forward("web"), Rules: []Placed{at(7, Rule{Conditions: []Condition{{Field: FieldPath, Values: []string{"*/pay"}}}, Actions: forward("pay")})}},
			pass, []string{"port 443", "rule 7", "/cart/*", "*/pay"}},
		"a regular expression": {Listener{Port: 443, Default: forward("web"), Rules: []Placed{at(7, Rule{Conditions: []Condition{{Field: FieldPath, Regex: []string{"^/c"}}}, Actions: forward("pay")})}},
			pass, []string{"regular expression"}},
		"nothing of it": {Listener{Port: 443, Default: forward("web")}, edge.Closing{Page: testPage(), Mode: edge.Paths, Paths: []string{"/blog"}}, []string{"/blog", "/cart/*"}},
		"too much for a rule": {Listener{Port: 443, Default: forward("web"), Rules: []Placed{at(7, Rule{Conditions: []Condition{{Field: FieldHeader, Name: "A", Values: []string{"1"}},
			{Field: FieldHeader, Name: "B", Values: []string{"1"}}, {Field: FieldQuery, Query: []QueryValue{{Value: "1"}}}}, Actions: forward("x")})}}, pass, []string{"6 condition values"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Draw(tt.l, shop, tt.c)
			refusedWith(t, err, tt.says...)
		})
	}
	// Without anyone to let through, a login is no hindrance.
	if _, err := Draw(Listener{Port: 443, Default: login}, shop, edge.Closing{Page: testPage(), Mode: edge.Closed}); err != nil {
		t.Error(err)
	}
}

// Sources are shared out among as many rules as five values each allow.
func TestSourcesAreSharedOut(t *testing.T) {
	t.Parallel()
	r := Rule{Conditions: []Condition{{Field: FieldHost, Values: []string{"a.example.com", "b.example.com"}}, {Field: FieldSource}}, Actions: forward("web")}
	for i := range 10 {
		r.Conditions[1].Values = append(r.Conditions[1].Values, fmt.Sprintf("203.0.113.%d/32", i))
	}
	rules, err := fit(r)
	if err != nil || len(rules) != 4 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if limits := r.Limits(); len(limits) > 0 {
			t.Errorf("%v", limits)
		}
		for _, v := range r.Conditions[1].Values {
			seen[v] = true
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d sources of 10", len(seen))
	}
}

// Rules that leave no room, in front and behind, are refused before anything is
// written.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	shop := Rule{Conditions: []Condition{{Field: FieldHost, Values: []string{"shop.example.com"}}}, Actions: forward("web")}
	closed := func(n int) Curtain {
		c := Curtain{ID: "c"}
		for range n {
			c.Rules = append(c.Rules, Named{Name: partClosed, Rule: Rule{Conditions: shop.Conditions, Actions: []Action{{Type: TypeFixed, Fixed: Page(testPage())}}}})
		}
		return c
	}
	full := Listener{Port: 443, Default: forward("web"), Rules: []Placed{at(1, shop), at(MaxPriority, shop)}}
	_, err := closed(1).Known(full)
	refusedWith(t, err, "port 443", "50000", "set-rule-priorities")
	login := Listener{Port: 443, Default: []Action{{Type: TypeOIDC, OIDC: "https://login.example.com"}, forward("web")[0]}}
	_, err = closed(2).Known(login)
	refusedWith(t, err, "2 rules on port 443", "client secret")
	if _, err := closed(1).Known(login); err != nil {
		t.Error(err)
	}
	// Someone took the room since the plan: nothing is written.
	c, err := closed(1).Known(Listener{Port: 443, Default: forward("web"), Rules: []Placed{at(9, shop)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Up(Listener{Port: 443, Default: forward("web"), Rules: []Placed{at(1, shop), at(9, shop)}})
	refusedWith(t, err, "were not there when the plan was made")
}

// A rule that a colleague puts where a shifted one has to go back to is named,
// with what to do; the page stays until then.
func TestSomeoneIsInTheWay(t *testing.T) {
	t.Parallel()
	b := &table{Listener: Listener{Port: 443, Protocol: "HTTPS", Default: forward("web"), Rules: []Placed{at(1, Rule{Conditions: []Condition{{Field: FieldPath, Values: []string{"/a"}}}, Actions: forward("a")})}}}
	drawn, err := Draw(b.Listener, Scope{}, edge.Closing{Page: testPage(), Mode: edge.Closed, Bypass: edge.Bypass{Pass: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Curtain{ID: "c", Rules: drawn.Rules}.Known(b.Listener)
	if err != nil {
		t.Fatal(err)
	}
	finish := func(next func(Listener) ([]Step, error)) error {
		for {
			steps, err := next(b.Listener)
			if err != nil || len(steps) == 0 {
				return err
			}
			for _, s := range steps {
				if err := b.do(s); err != nil {
					return err
				}
			}
		}
	}
	if err := finish(c.Up); err != nil {
		t.Fatal(err)
	}
	// The whole of noren's place in front moves up by hand, and theirs comes to 1.
	for i := range b.Rules {
		if b.Rules[i].Own != nil {
			b.Rules[i].Priority += 10
		}
	}
	b.Rules = append(b.Rules, Placed{ARN: "theirs", Priority: 1, Rule: Rule{Conditions: []Condition{{Field: FieldPath, Values: []string{"/urgent"}}}, Actions: forward("x")}})
	b.Sorted()
	refusedWith(t, finish(c.Down), "priority 1 of port 443", "shifted the others by 1000", "Priority=…")
}

// AWS returns the same rule in another order, with defaults filled in.
func TestCanonical(t *testing.T) {
	t.Parallel()
	a := Rule{Conditions: []Condition{{Field: FieldHost, Values: []string{"b", "a"}}, {Field: FieldPath, Values: []string{"/"}}}, Actions: []Action{{Type: TypeRedirect, Redirect: &Redirect{Protocol: "HTTPS", Status: "HTTP_301"}}}}
	b := Rule{Conditions: []Condition{{Field: FieldPath, Values: []string{"/"}}, {Field: FieldHost, Values: []string{"a", "b"}}},
		Actions: []Action{{Type: TypeRedirect, Redirect: &Redirect{Protocol: "HTTPS", Host: "#{host}", Port: "#{port}", Path: "/#{path}", Query: "#{query}", Status: "HTTP_301"}}}}
	if !a.Equal(b) {
		t.Error("taken for another rule")
	}
	b.Actions[0].Redirect.Status = "HTTP_302"
	if a.Equal(b) {
		t.Error("another status is taken for the same")
	}
	if f := Page(edge.Response{Status: http.StatusServiceUnavailable, ContentType: "text/html; charset=utf-8", Body: "x"}); f.Type != "text/html" || len(f.Limits()) > 0 {
		t.Errorf("%+v", f)
	}
}
