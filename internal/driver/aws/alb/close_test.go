package alb

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
)

// TestCustomersSeeIt sends requests through the rules: closed, let through, and
// open again, with everything exactly as it was.
func TestCustomersSeeIt(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, w.api, w.shop, w.blog)
			before := s.api.Drawing(s.listener)
			in, params := s.change(t, w.options, w.closing)
			from, err := in.Change.Observe(t.Context())
			must(t, err)
			to, err := in.Change.Propose(from)
			must(t, err)
			must(t, in.Change.Apply(t.Context(), from, to))
			if v, err := in.Waiter.Settled(t.Context(), to); err != nil || !v.OK {
				t.Errorf("%+v, %v", v, err)
			}
			whole, bypass := len(w.options.Hosts) == 0, w.closing.Bypass.Pass != ""
			sees := func(what, got, want string) {
				t.Helper()
				if got != want {
					t.Errorf("%s sees %q, want %q\n%s", what, got, want, s.api.Drawing(s.listener))
				}
			}
			sees("a customer", s.customer(t, "shop.localhost", "/"), "page 503")
			sees("one of the api", s.customer(t, "shop.localhost", "/api/x"), "page 503")
			sees("a reader of the blog", s.customer(t, "blog.localhost", "/"), map[bool]string{true: "page 503", false: "blog"}[whole])
			sees("a probe", s.get(t, "127.0.0.9", "GET", "shop.localhost", "/", edge.ProbeHeader, "1"), "page 503")
			if bypass {
				sees("staff by pass", s.get(t, "127.0.0.1", "POST", "shop.localhost", "/", edge.PassHeader, "s3cret"), "web")
				sees("staff by cookie", s.get(t, "127.0.0.1", "GET", "shop.localhost", "/api/x", "Cookie", "a=b; noren_pass=s3cret"), "api")
				sees("the office", s.get(t, "127.0.0.9", "GET", "shop.localhost", "/api/x"), "api")
				sees("a wrong pass", s.get(t, "127.0.0.1", "GET", "shop.localhost", "/", edge.PassHeader, "secret"), "page 503")
			}
			if want := len(params.Curtain.Rules); len(s.own(params)) != want {
				t.Errorf("%d rules of noren's, want %d", len(s.own(params)), want)
			}
			must(t, in.Change.Apply(t.Context(), to, from))
			sees("a customer", s.customer(t, "shop.localhost", "/"), "web")
			sees("one of the api", s.customer(t, "shop.localhost", "/api/x"), "api")
			if after := s.api.Drawing(s.listener); after != before {
				t.Errorf("the listener was\n%s\nand is\n%s", before, after)
			}
		})
	}
}

// own are the ARNs of the curtain's rules.
func (s *scene) own(p CloseParams) []string {
	var out []string
	rules, tags := s.api.Rules(s.listener)
	for i, r := range rules {
		if own := ownIn(tags[i]); own != nil && own.ID == p.Curtain.ID {
			out = append(out, r.ARN)
		}
	}
	return out
}

// TestCutOffAtEveryCall loses the answer of each call in turn, and stops there.
// Customers are then wholly shut out or not at all, and calling again goes on,
// also the other way.
func TestCutOffAtEveryCall(t *testing.T) {
	for name, w := range ways() {
		for _, goOn := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, goes on %t", name, goOn), func(t *testing.T) {
				for n := 0; ; n++ {
					s := newScene(t, w.api, w.shop, w.blog)
					before := s.api.Drawing(s.listener)
					in, _ := s.change(t, w.options, w.closing)
					from, err := in.Change.Observe(t.Context())
					must(t, err)
					to, err := in.Change.Propose(from)
					must(t, err)
					change := in.Marker.Marked(action.Mark{Receipt: action.Receipt{Run: "r", Step: "s", Action: ActionClose, Target: in.Target, From: from, To: to, TakenAt: time.Unix(1, 0)}})
					cutClosing := s.cut(t, n, func() error { return change.Apply(t.Context(), from, to) })
					s.whole(t, n)
					s.between(t, in, from, to)
					if cutClosing && goOn {
						must(t, change.Apply(t.Context(), from, to))
					}
					if !cutClosing || goOn {
						if got := s.customer(t, "shop.localhost", "/"); got != "page 503" {
							t.Fatalf("cut off at call %d: a customer sees %s", n, got)
						}
					}
					cutOpening := s.cut(t, n, func() error { return change.Apply(t.Context(), to, from) })
					s.whole(t, n)
					s.between(t, in, from, to)
					must(t, change.Apply(t.Context(), to, from))
					if after := s.api.Drawing(s.listener); after != before {
						t.Fatalf("cut off at call %d: the listener was\n%s\nand is\n%s", n, before, after)
					}
					if !cutClosing && !cutOpening {
						if n < 1 {
							t.Errorf("only %d calls", n)
						}
						return
					}
				}
			})
		}
	}
}

// between fails unless the listener is in one of the states, or known to be between
// them. With an edit of somebody else's it no longer is.
func (s *scene) between(t *testing.T, in *driver.Instance, from, to action.State) {
	t.Helper()
	now, err := in.Change.Observe(t.Context())
	must(t, err)
	if now.Equal(from) || now.Equal(to) {
		return
	}
	between, err := in.Midway.Between(now, from, to)
	must(t, err)
	if !between {
		t.Fatalf("a listener that was cut off is taken for somebody else's work: %s", now.Fields)
	}
	var edited State
	must(t, json.Unmarshal(now.Fields, &edited))
	if len(edited.Rules) == 0 {
		return
	}
	edited.Rules[0].Actions = nil
	now.Fields, err = json.Marshal(edited)
	must(t, err)
	if between, err = in.Midway.Between(now, from, to); between || err != nil {
		t.Fatalf("what somebody edited is taken for noren's own work: %v", err)
	}
}

// cut loses the answer of the n-th write from now on, and tells whether there was one.
func (s *scene) cut(t *testing.T, n int, apply func() error) bool {
	t.Helper()
	calls := 0
	s.api.Before(func(string) {
		if calls == n {
			s.api.LoseNextAnswer()
		}
		calls++
	})
	defer s.api.Before(nil)
	err := apply()
	switch {
	case calls <= n:
		must(t, err)
	case !errors.Is(err, action.ErrUnavailable):
		t.Fatalf("after a lost answer: %v", err)
	}
	return calls > n
}

// whole fails if some customers of the shop are shut out and others not, or if
// something was changed and nothing says so.
func (s *scene) whole(t *testing.T, n int) {
	t.Helper()
	a, b, c := s.customer(t, "shop.localhost", "/"), s.customer(t, "shop.localhost", "/api/x"), s.get(t, "127.0.0.1", "POST", "shop.localhost", "/api/x")
	if open, shut := a == "web" && b == "api" && c == "api", a == "page 503" && b == a && c == a; !open && !shut {
		t.Fatalf("cut off at call %d: half open: %s, %s, %s\n%s", n, a, b, c, s.api.Drawing(s.listener))
	}
	rules, tags := s.api.Rules(s.listener)
	own := slices.ContainsFunc(tags, func(have map[string]string) bool { return ownIn(have) != nil })
	shifted := rules[len(rules)-1].Priority > 1000 && !own
	if own && s.mark(t, s.listener) == nil || shifted {
		t.Fatalf("cut off at call %d: nothing tells what was there\n%s", n, s.api.Drawing(s.listener))
	}
}

// Two services of one listener are closed at the same time and opened in either
// order; in the end, every rule is at its own priority.
func TestTwoServicesOfOneListener(t *testing.T) {
	for _, firstFirst := range []bool{true, false} {
		s := newScene(t, 1, 2, 3)
		before := s.api.Drawing(s.listener)
		blog, _ := s.change(t, Options{Hosts: []string{"blog.localhost"}}, closing(staff))
		shop, _ := s.change(t, Options{Hosts: []string{"shop.localhost"}}, closing(staff))
		both := []*driver.Instance{blog, shop}
		from, err := blog.Change.Observe(t.Context())
		must(t, err)
		errs := make(chan error)
		for _, in := range both {
			go func() {
				to, err := in.Change.Propose(from)
				if err == nil {
					err = in.Change.Apply(t.Context(), from, to)
				}
				errs <- err
			}()
		}
		for range both {
			must(t, <-errs)
		}
		if a, b := s.customer(t, "shop.localhost", "/"), s.customer(t, "blog.localhost", "/"); a != "page 503" || b != a {
			t.Errorf("%s, %s\n%s", a, b, s.api.Drawing(s.listener))
		}
		if !firstFirst {
			slices.Reverse(both)
		}
		for i, in := range both {
			to, err := in.Change.Observe(t.Context())
			must(t, err)
			must(t, in.Change.Apply(t.Context(), to, from))
			if i == 0 {
				open, shut := "shop.localhost", "blog.localhost"
				if firstFirst {
					open, shut = shut, open
				}
				if got := s.customer(t, open, "/"); got == "page 503" {
					t.Errorf("%s is still closed", open)
				}
				if got := s.customer(t, shut, "/"); got != "page 503" {
					t.Errorf("%s sees %s", shut, got)
				}
			}
		}
		if after := s.api.Drawing(s.listener); after != before {
			t.Errorf("the listener was\n%s\nand is\n%s", before, after)
		}
	}
}

// A colleague who deletes noren's rules by hand leaves the user's own shifted:
// opening puts them back.
func TestDeletedByHand(t *testing.T) {
	s := newScene(t, 1, 2, 3)
	before := s.api.Drawing(s.listener)
	in, params := s.change(t, Options{Hosts: []string{"shop.localhost"}}, closing(staff))
	from, err := in.Change.Observe(t.Context())
	must(t, err)
	to, err := in.Change.Propose(from)
	must(t, err)
	must(t, in.Change.Apply(t.Context(), from, to))
	for _, arn := range s.own(params) {
		s.api.Remove(arn)
	}
	now, err := in.Change.Observe(t.Context())
	must(t, err)
	if now.Equal(from) || !strings.Contains(string(now.Fields), "deleted by someone else") {
		t.Errorf("%s", now.Fields)
	}
	must(t, in.Change.Apply(t.Context(), to, from))
	if after := s.api.Drawing(s.listener); after != before {
		t.Errorf("the listener was\n%s\nand is\n%s", before, after)
	}
}

// An extension renews the page in place, and its mark first.
func TestRenew(t *testing.T) {
	s := newScene(t, 1, 2, 3)
	before := s.api.Drawing(s.listener)
	in, _ := s.change(t, Options{Hosts: []string{"shop.localhost"}}, closing(staff))
	from, err := in.Change.Observe(t.Context())
	must(t, err)
	to, err := in.Change.Propose(from)
	must(t, err)
	mark := action.Mark{Receipt: action.Receipt{Run: "close", Step: "s", Action: ActionClose, Target: in.Target, From: from, To: to, TakenAt: time.Unix(1, 0)}}
	must(t, in.Marker.Marked(mark).Apply(t.Context(), from, to))
	fresh := closing().Page
	fresh.Body = strings.Replace(pageBody, "closed", "closed a little longer", 1)
	later, err := in.Renewer.Renew(to, fresh, []string{"m-1"})
	must(t, err)
	mark.Receipt.Run, mark.Receipt.To = "extend", later
	s.cut(t, 1, func() error { return in.Marker.Marked(mark).Apply(t.Context(), to, later) })
	must(t, in.Marker.Marked(mark).Apply(t.Context(), to, later))
	if now, err := in.Change.Observe(t.Context()); err != nil || !now.Equal(later) {
		t.Errorf("%s, %v", now.Fields, err)
	}
	if m := s.mark(t, s.listener); m == nil || m.Receipt.Run != "extend" {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(s.api.Drawing(s.listener), "a little longer") {
		t.Error("the page is the old one")
	}
	must(t, in.Change.Apply(t.Context(), later, from))
	if after := s.api.Drawing(s.listener); after != before {
		t.Errorf("the listener was\n%s\nand is\n%s", before, after)
	}
}

// A pass is a secret: no view shows it.
func TestPassIsNotShown(t *testing.T) {
	s := newScene(t, 10, 20, 30)
	in, _ := s.change(t, Options{Hosts: []string{"shop.localhost"}}, closing(staff))
	from, err := in.Change.Observe(t.Context())
	must(t, err)
	to, err := in.Change.Propose(from)
	must(t, err)
	d := in.Describer.Describe(from, to)
	if strings.Contains(d.After, "s3cret") || !strings.Contains(d.After, edge.PassHeader) || !strings.Contains(d.After, "noren_pass=•••") {
		t.Errorf("%s", d.After)
	}
}
