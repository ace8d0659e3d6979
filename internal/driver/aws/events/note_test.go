package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/wire"
)

// usual is a mark as a closing of a workload leaves it.
func usual(t testing.TB, target, name string) action.Mark {
	t.Helper()
	state := func(s string) action.State {
		return action.State{Version: 1, Fields: json.RawMessage(`{"state":"` + s + `"}`)}
	}
	m := action.Mark{
		Receipt: action.Receipt{Run: "close-1125-d65b", Step: "rest-3", Action: "aws/schedule.disable", Target: target, From: state("ENABLED"), To: state("DISABLED"),
			TakenAt: time.Date(2026, 11, 25, 17, 46, 32, 946820675, time.UTC)},
		Params: json.RawMessage(`{"group":"default","name":"` + name + `"}`), Actor: "mika@laptop",
		Origin: json.RawMessage(fmt.Sprintf(`{"version":1,"environment":"prod","service":{"name":"shop","team":"storefront","entrances":null,"workloads":[{"kind":"aws/schedule","name":"%[2]s","target":"%[1]s"}]},`+
			`"stage":"rest","order":2,"track":"%[1]s","title":"Bring to rest %[1]s","patience":900000000000,"until":"2026-11-26T03:16:32.700322842+09:00","zone":"Asia/Tokyo",`+
			`"reason":"move the database to the new cluster","changes":5,"page":"ze09w8a39d"}`, target, name)),
	}
	m, err := m.Sealed()
	must(t, err)
	return m
}

func text(s *string) string {
	if s == nil {
		return "nil"
	}
	return fmt.Sprintf("%q", *s)
}

// TestNoteGoesAsItCame: whatever people have written is there again once the note
// is gone, to the character; what they write beside it meanwhile stays.
func TestNoteGoesAsItCame(t *testing.T) {
	m := usual(t, "aws:prod/schedule/default/sums", "sums")
	for _, before := range []*string{nil, aws.String(""), aws.String("nightly sums"), aws.String("two spaces  "), aws.String("夜間集計"), aws.String("[noren of old"), aws.String("a\nb\n"), aws.String("see [runbook]")} {
		d, err := parseDescription(before).marked(m)
		must(t, err)
		written := d.join()
		read, ok, err := parseDescription(written).mark()
		must(t, err)
		if sum, err := read.Sealed(); !ok || err != nil || sum.Sum != m.Sum {
			t.Errorf("%s: the mark reads %+v", text(before), read)
		}
		gone, err := parseDescription(written).tagged(nil, []string{"noren:run"})
		must(t, err)
		if after := gone.join(); text(after) != text(before) {
			t.Errorf("it was %s and is %s", text(before), text(after))
		}
		edited := aws.String("new: " + *written + " (ask Mika)")
		gone, err = parseDescription(edited).tagged(nil, []string{"noren:run"})
		must(t, err)
		if after := gone.join(); !strings.HasPrefix(*after, "new: "+aws.ToString(before)) || !strings.HasSuffix(*after, " (ask Mika)") || strings.Contains(*after, "close-1125") {
			t.Errorf("%s, with an edit beside the note, is %s", text(before), text(after))
		}
	}
}

// TestNoteOfBefore: a note that was written before can still be read, and leaves
// room for what people write.
func TestNoteOfBefore(t *testing.T) {
	const before = "[noren close-1125-d65b: 1.xJVLToUwFIa3Qpxjek7fjFzE3UAPPQSjKEkxjNy7KfGBVQkEkzvsoM//+/r/SSYA6joaTQWi8n8YfXemTi9DugqvADXqC9hGmUbirVfGoTBW7+X42wVWTA/3D+HuMYzT83gW79Qva/z23Z3Bvnj6o2Ft6IB7dCi3P6hGMX2XJjlrcxGygSVrK4REdAo39fnsiFwb1dRzFcMUKCTOp8zjJ56rj5ZZ6aa/dGPhZxekjz+866I1viWSQJqJW4qonGhtBA1M3N28vgUAAP//]"
	d := parseDescription(aws.String(before))
	m, ok, err := d.mark()
	must(t, err)
	if want := usual(t, "aws:prod/schedule/default/nightly-sums", "nightly-sums"); !ok || m.Sum != want.Sum {
		t.Errorf("it reads %+v", m)
	}
	again, err := described{}.marked(m)
	must(t, err)
	if n := utf8.RuneCountInString(*again.join()); n > mostDescription*2/3 {
		t.Errorf("it takes %d of %d characters", n, mostDescription)
	}
}

// TestNoteBroken: of a note that was cut off or edited, the run is known, and
// nothing is made of the rest.
func TestNoteBroken(t *testing.T) {
	d, err := parseDescription(aws.String("sums")).marked(usual(t, "aws:prod/schedule/default/sums", "sums"))
	must(t, err)
	whole := *d.join()
	for name, broken := range map[string]string{
		"cut off": whole[:len(whole)-40], "edited": strings.Replace(whole, "1.", "1.AAAA", 1), "of another noren": strings.Replace(whole, "1.", "2.", 1), "no base64": strings.Replace(whole, "1.", "1.!", 1),
	} {
		m, ok, err := parseDescription(&broken).mark()
		if !ok || err == nil || m.Receipt.Run != "close-1125-d65b" {
			t.Errorf("%s: %v %v %+v", name, ok, err, m.Receipt)
		}
		if tags, err := parseDescription(&broken).tags(); err != nil || len(tags) != 1 {
			t.Errorf("%s: %v %v", name, tags, err)
		}
	}
}

// TestNoRoomForTheNote: a description that is too long refuses the closing, unless
// the schedule is to carry no mark; then it carries none.
func TestNoRoomForTheNote(t *testing.T) {
	w := newWorld(t)
	w.schedule(t, "sums", "cron(0 2 * * ? *)")
	s := &schedule{client: w.direct, p: ScheduleParams{Group: fallback, Name: "sums"}}
	now, err := s.get(t.Context())
	must(t, err)
	_, err = w.direct.scheduler.UpdateSchedule(t.Context(), &scheduler.UpdateScheduleInput{Name: now.Name, State: now.State, FlexibleTimeWindow: now.FlexibleTimeWindow,
		ScheduleExpression: now.ScheduleExpression, Target: now.Target, Description: aws.String(strings.Repeat("語", 400))})
	must(t, err)
	m := usual(t, s.Target(), "sums")
	err = s.Fits(t.Context(), m)
	if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "has 400 characters, and AWS allows 512") || len(fault.Of(err)[0].Try) != 2 {
		t.Errorf("%v", err)
	}
	s.p.Unmarked = true
	must(t, s.Fits(t.Context(), m))
	before := w.all(t, "sums")
	wr := wire.New(t, w.moto.Endpoint)
	change, err := openSchedule(testaws.Connect(t, wr.Endpoint), s.p)
	must(t, err)
	marked := change.(driver.TypedMarker[ScheduleState]).Marked(m)
	must(t, marked.Apply(t.Context(), &ScheduleState{"ENABLED"}, &ScheduleState{"DISABLED"}))
	if got, err := s.get(t.Context()); err != nil || got.State != "DISABLED" || strings.Contains(*got.Description, "noren") {
		t.Errorf("%+v %v", got, err)
	}
	must(t, marked.Apply(t.Context(), &ScheduleState{"DISABLED"}, &ScheduleState{"ENABLED"}))
	if after := w.all(t, "sums"); after != before || wr.Writes(t) != 2 {
		t.Errorf("%s, was %s, %d writes", after, before, wr.Writes(t))
	}
}

// TestTracesOfSchedules: a mark is found also where somebody enabled the schedule
// since, and a broken one is said to be; where descriptions may not be read, it is
// told which schedules are disabled all the same.
func TestTracesOfSchedules(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"sums", "edited", "idle", "free"} {
		w.schedule(t, name, "cron(0 2 * * ? *)")
	}
	describe := func(name string, to string, change func(described) described) {
		s := &schedule{client: w.direct, p: ScheduleParams{Group: fallback, Name: name}}
		must(t, s.update(t.Context(), "test", &ScheduleState{types.ScheduleState(to)}, func(d described) (described, error) { return change(d), nil }))
	}
	marked := func(d described) described {
		d, err := d.marked(usual(t, "aws:test/schedule/default/sums", "sums"))
		must(t, err)
		return d
	}
	describe("sums", "ENABLED", marked)
	describe("edited", "DISABLED", func(d described) described { d = marked(d); d.packed = d.packed[:40]; return d })
	describe("idle", "DISABLED", func(d described) described { return d })
	found, err := FindTraces(t.Context(), testaws.Connect(t, w.moto.Endpoint))
	must(t, err)
	said := map[string]string{}
	for _, m := range found.Marks {
		said[m.On] = m.Mark.Receipt.Run + " " + m.Wrong
	}
	for _, u := range found.Unmarked {
		said[u.Target] = u.What
	}
	for target, want := range map[string]string{"sums": "close-1125-d65b ", "edited": "close-1125-d65b it is broken off", "idle": "is disabled"} {
		if got := said["aws:test/schedule/default/"+target]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	if len(said) != 3 {
		t.Errorf("%v", said)
	}

	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/schedules" {
			fmt.Fprint(rw, `{"Schedules":[{"Name":"idle","GroupName":"default","State":"DISABLED"}]}`)
			return
		}
		rw.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		rw.WriteHeader(http.StatusForbidden)
		fmt.Fprint(rw, `{"message":"User: x is not authorized to perform: scheduler:GetSchedule"}`)
	}))
	t.Cleanup(server.Close)
	found, err = FindTraces(t.Context(), testaws.Connect(t, server.URL))
	must(t, err)
	if len(found.Unmarked) != 1 || !slices.Contains(found.Unseen, "descriptions of 1 schedules (scheduler:GetSchedule)") {
		t.Errorf("%+v", found)
	}
}
