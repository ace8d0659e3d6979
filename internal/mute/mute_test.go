package mute_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
)

type what struct {
	Of string `json:"of"`
}

// shelf is a book in memory; the drivers' tests hold the change to real protocols.
type shelf struct {
	all  []mute.Entry[what]
	made int
}

func (s *shelf) List(context.Context) ([]mute.Entry[what], error) { return slices.Clone(s.all), nil }

func (s *shelf) Create(_ context.Context, e mute.Entry[what]) error {
	s.made++
	e.ID = fmt.Sprint(s.made)
	s.all = append(s.all, e)
	return nil
}

func (s *shelf) Change(_ context.Context, have, want mute.Entry[what]) error {
	i := slices.IndexFunc(s.all, func(e mute.Entry[what]) bool { return e.ID == have.ID })
	want.ID = have.ID
	s.all[i] = want
	return nil
}

func (s *shelf) Remove(_ context.Context, e mute.Entry[what]) error {
	s.all = slices.DeleteFunc(s.all, func(x mute.Entry[what]) bool { return x.ID == e.ID })
	return nil
}

func (s *shelf) ByHand(e mute.Entry[what]) string { return "end " + e.ID }

func kind() mute.Kind[what, what] {
	return mute.Kind[what, what]{Words: mute.Words{Driver: "bell", Word: "mute", Seen: "mutes"},
		What: func(w what) (what, error) { return w, nil }}
}

// rig is a system at two in the morning.
func rig() (*shelf, *mute.System[what], *time.Time) {
	now := time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
	s := &shelf{}
	k := kind()
	k.Forbidden = "@"
	return s, k.System(s, driver.Env{Name: "prod", Now: func() time.Time { return now }}), &now
}

func params(until time.Time) mute.Params[what] {
	return mute.Params[what]{Name: "check out", Service: "shop", Mark: "m1", Reason: "ask @mika [now]\nplease", What: what{"shop"}, Until: until}
}

func TestWordsOfAMute(t *testing.T) {
	book, s, now := rig()
	until := now.Add(time.Hour)
	to, _ := s.Open(params(until)).Propose(nil)
	for limit, want := range map[int]string{
		0:   "shop is closed for planned work: ask mika now please. Made by noren, which takes it away on opening. [noren:prod:m1:check+out]",
		120: "shop is closed for planned work. Made by noren, which takes it away on opening. [noren:prod:m1:check+out]",
		60:  "noren [noren:prod:m1:check+out]",
	} {
		s.Limit, book.all = limit, nil
		marked := s.Open(params(until)).Marked(action.Mark{Actor: "mika@laptop", Receipt: action.Receipt{Run: "close-1"}})
		if err := marked.Apply(t.Context(), nil, to); err != nil {
			t.Fatal(err)
		}
		first, rest, _ := strings.Cut(book.all[0].Text, "\n")
		if first != want || (rest != "") != (limit == 0) || strings.Contains(book.all[0].Text, "@") {
			t.Errorf("limit %d: %q and %q", limit, first, rest)
		}
	}
}

// One that was made twice is taken away twice.
func TestMadeTwice(t *testing.T) {
	book, s, now := rig()
	c := s.Open(params(now.Add(time.Hour)))
	to, _ := c.Propose(nil)
	for range 2 {
		if err := book.Create(t.Context(), mute.Entry[what]{What: what{"shop"}, Text: "[noren:prod:m1:check+out]", Until: to.Until}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Apply(t.Context(), nil, to); err != nil || len(book.all) != 1 {
		t.Fatalf("%d mutes are left: %v", len(book.all), err)
	}
	if err := c.Apply(t.Context(), to, nil); err != nil || len(book.all) != 0 {
		t.Errorf("%d mutes are left: %v", len(book.all), err)
	}
}

// A mute that has ended by itself is made anew where it is to last longer, is
// nothing to take away, and is no drift.
func TestEndedByItself(t *testing.T) {
	book, s, now := rig()
	c := s.Open(params(now.Add(time.Hour)))
	to, _ := c.Propose(nil)
	*now = now.Add(2 * time.Hour)
	later, _ := c.Prolong(to, now.Add(time.Hour))
	if err := c.Apply(t.Context(), to, later); err != nil || len(book.all) != 1 {
		t.Fatalf("prolonged: %d mutes, %v", len(book.all), err)
	}
	book.all = nil
	if err := c.Apply(t.Context(), later, nil); err != nil {
		t.Errorf("taken away: %v", err)
	}
	if err := c.Apply(t.Context(), nil, to); err == nil || !strings.Contains(err.Error(), "in the past") || len(book.all) != 0 {
		t.Errorf("an end that has passed: %v", err)
	}
	*now = now.Add(-2 * time.Hour)
	if err := c.Apply(t.Context(), to, later); !errors.Is(err, action.ErrDrift) {
		t.Errorf("someone took it away before its end: %v", err)
	}
}

func TestOthersAreToldOf(t *testing.T) {
	book, s, now := rig()
	book.all = []mute.Entry[what]{{ID: "1", What: what{"shop"}, By: "mika"}, {ID: "2", What: what{"shop"}, Until: now.Add(time.Minute)},
		{ID: "3", What: what{"api"}}, {ID: "4", What: what{"shop"}, Recurring: true}}
	m, err := kind().Open(s, "checkout", what{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	q, err := m.Mute(t.Context(), driver.Muting{Mark: "m1", Service: "shop", Until: now.Add(time.Hour)})
	if err != nil || len(q.Calls) != 1 || len(q.Notes) != 2 || !q.Notes[0].Warn || q.Notes[1].Warn {
		t.Fatalf("%+v %v", q, err)
	}
	if want := "It is muted already, without an end by mika (1)."; !strings.HasPrefix(q.Notes[0].Text, want) {
		t.Errorf("%q", q.Notes[0].Text)
	}
}

func TestTraces(t *testing.T) {
	book, s, now := rig()
	mark, err := action.Mark{Receipt: action.Receipt{Run: "r", Step: "s", Action: "bell/mute", Target: "bell:prod/mute/a"}}.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := mark.Packed()
	if err != nil {
		t.Fatal(err)
	}
	soon := now.Add(time.Hour)
	book.all = []mute.Entry[what]{
		{ID: "1", Text: "noren [noren:prod:m1:a]\n" + packed, Until: soon}, {ID: "2", Text: "noren [noren:prod:m1:a]\n" + packed, Until: soon},
		{ID: "3", Text: "noren [noren:prod:m1:b]", Until: soon}, {ID: "4", Text: "noren [noren:qa:m1:a]", Until: soon},
		{ID: "5", Text: "hers", Since: *now, Until: soon}, {ID: "6", Text: "hers", Since: now.Add(-8 * 24 * time.Hour), Until: soon},
		{ID: "7", Text: "hers", Since: *now}, {ID: "8", Text: "hers", Recurring: true},
		{ID: "9", Text: "noren [noren:prod:m1:c]\n" + packed[:len(packed)-8], Until: soon}}
	found, err := s.Traces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found.Marks {
		got = append(got, fmt.Sprintf("mark %s %s wrong=%v", m.On, m.Mark.Receipt.Run, m.Wrong != ""))
	}
	for _, u := range found.Unmarked {
		got = append(got, fmt.Sprintf("%s ours=%v %v", u.Target, u.Ours, u.Advice))
	}
	want := []string{"mark bell:prod/mute/a r wrong=false", "mark bell:prod/mute/c  wrong=true", "bell:prod/mute/b ours=true [end 3]",
		"bell:prod/mute/id:6 ours=false [end 6]", "bell:prod/mute/id:7 ours=false [end 7]"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestTagTellsItsClosing finds a mute that has no room for a mark: what is found is
// enough to take it away, and nothing of others.
func TestTagTellsItsClosing(t *testing.T) {
	book, s, now := rig()
	until := now.Add(time.Hour)
	for _, e := range []mute.Entry[what]{
		{What: what{"shop"}, Text: "noren [noren:prod:m1:check+out]", Until: until},
		{What: what{"shop"}, Text: "hers", Until: until},
		{What: what{"shop"}, Text: "noren [noren:qa:m1:check+out]", Until: until},
	} {
		if err := book.Create(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	found, err := s.Traces(t.Context())
	if err != nil || len(found.Unmarked) != 1 || found.Unmarked[0].Made == nil {
		t.Fatalf("%+v, %v", found, err)
	}
	made := found.Unmarked[0].Made
	if made.Token != "m1" || made.Monitor != "check out" || made.Call.Action != "bell/mute.mute" || !made.Before.IsZero() {
		t.Errorf("%+v", made)
	}
	c := driver.Bare(driver.Typed[mute.State[what]](s.Open(made.Call.Params.(mute.Params[what])))).Change
	if err := c.Apply(t.Context(), made.Now, made.Before); err != nil {
		t.Fatal(err)
	}
	if len(book.all) != 2 || slices.ContainsFunc(book.all, func(e mute.Entry[what]) bool { return strings.Contains(e.Text, ":prod:") }) {
		t.Errorf("left: %+v", book.all)
	}
}
