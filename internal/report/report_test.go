package report_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// TestPeriods holds what is told of customers against the stories' clocks.
func TestPeriods(t *testing.T) {
	t.Parallel()
	type want struct {
		ending    string
		shop, pay []time.Duration // from, to, from the night's beginning; 0 for lasting
		proven    bool            // all of it
	}
	still := closed()
	still.end(run.Done, nil)
	sources := stories()
	sources["still closed"] = report.Source{Closing: still.part, Zone: zone(), Now: night().Add(time.Hour)}
	halfWay := record("open-1125-cccc", opening(), "ann@bastion", night().Add(30*time.Minute))
	halfWay.stage(plan.StageOpen).begin("undo-close-1").after(time.Second).done("undo-close-1", "")
	sources["stopped half way"] = report.Source{Closing: still.part, Following: []report.Part{halfWay.end(run.Stopped, nil)}, Zone: zone(), Now: night().Add(time.Hour)}
	tests := map[string]want{
		"done":             {"open", []time.Duration{3440 * ms, 48*time.Minute + 4770*ms}, []time.Duration{4640 * ms, 48*time.Minute + 5570*ms}, true},
		"undone":           {"undone", []time.Duration{1400 * ms, 118401 * ms}, []time.Duration{4400 * ms, 122401 * ms}, false},
		"stranded":         {"stranded", []time.Duration{1200 * ms, 0}, nil, false},
		"resumed":          {"open", []time.Duration{243100 * ms, 20*time.Minute + 1300*ms, 21*time.Minute + 3300*ms, 28*time.Minute + 1300*ms}, []time.Duration{243100 * ms, 28*time.Minute + 1300*ms}, false},
		"still closed":     {"closed", []time.Duration{3440 * ms, 0}, []time.Duration{4640 * ms, 0}, false},
		"stopped half way": {"stopped", []time.Duration{3440 * ms, 0}, []time.Duration{4640 * ms, 0}, false},
	}
	for name, w := range tests {
		r := report.Of(sources[name])
		if r.Ending != w.ending {
			t.Errorf("%s: ending %s, want %s", name, r.Ending, w.ending)
		}
		allProven := true
		for i, want := range [][]time.Duration{w.shop, w.pay} {
			var got []time.Duration
			for _, p := range r.Services[i].Closed {
				end := time.Duration(0)
				if !p.To.IsZero() {
					end = p.To.Sub(night())
				}
				got = append(got, p.From.Sub(night()), end)
				allProven = allProven && p.FromProven && p.ToProven
			}
			if len(got) != len(want) {
				t.Errorf("%s: %s was closed %v, want %v", name, r.Services[i].Name, got, want)
				continue
			}
			for j := range want {
				if got[j] != want[j] {
					t.Errorf("%s: %s was closed %v, want %v", name, r.Services[i].Name, got, want)
					break
				}
			}
		}
		if allProven != w.proven {
			t.Errorf("%s: all proven %t, want %t", name, allProven, w.proven)
		}
	}
}

// TestNothingOfPeopleIsMarkup puts markup wherever people's words can stand.
func TestNothingOfPeopleIsMarkup(t *testing.T) {
	t.Parallel()
	const evil = "</text><script>alert('x')</script>\"&\u202e`|*[a](javascript:x)\x1b[31m"
	p := closing()
	p.Reason, p.Environment.Name = evil, evil
	p.Services[0].Name, p.Services[0].Team = evil, evil
	p.Notes = append(p.Notes, plan.Note{Text: evil, Targets: []string{evil}})
	for i := range p.Stages {
		for j := range p.Stages[i].Steps {
			s := &p.Stages[i].Steps[j]
			s.Title, s.Target, s.Service, s.Description.Line, s.Description.After = evil, evil, evil, evil, evil
		}
	}
	c := record("close-1125-vrws", p, evil, night())
	c.stage(plan.StageName(`"><script>`)).begin("check-1").after(time.Second).done("check-1", evil).stage(plan.StageClose).begin("close-1").after(time.Second).done("close-1", evil)
	c.failed("prove-1", &run.Problem{Summary: evil, Detail: evil, Left: evil})
	c.event(run.Event{Type: run.Extended, Data: run.Data{Actor: evil, Until: night().Add(time.Hour)}})
	r := report.Of(report.Source{Closing: c.end(run.Stranded, &run.Problem{Summary: evil}), Zone: zone(), Now: night(), Broken: evil, Head: evil, Version: evil})
	html, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"html": html, "svg": r.SVG(report.Narrow, "x")} {
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "<script") || strings.ContainsAny(line, "\x1b\u202e") {
				t.Errorf("%s lets markup through: %s", name, line)
			}
		}
	}
	md := r.Markdown("")
	for i, line := range strings.Split(md, "\n") {
		code := strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-</") // in a fenced diff
		if !code && (strings.Contains(line, "<script") && !strings.Contains(line, `\<script`) || strings.Contains(line, "](javascript") && !strings.Contains(line, `\](javascript`)) {
			t.Errorf("line %d of the Markdown lets markup through: %s", i+1, line)
		}
	}
}

func TestSpell(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 ms", 240 * ms: "240 ms", 4640 * ms: "4.6 s", 12 * time.Second: "12 s", 60 * time.Second: "1 min", 93 * time.Second: "1 min 33 s",
		time.Hour: "1 h", 90 * time.Minute: "1 h 30 min", time.Hour + 5*time.Second: "1 h 5 s", 26*time.Hour + 3*time.Minute: "26 h 3 min",
	} {
		if got := report.Spell(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// Every stage has a colour, by day and by night.
func TestEveryStageHasItsColour(t *testing.T) {
	t.Parallel()
	svg := report.Of(stories()["done"]).SVG(report.Wide, "x")
	for _, stage := range []plan.StageName{plan.StageCheck, plan.StagePause, plan.StageClose, plan.StageProve, plan.StageRest, plan.StageStart,
		plan.StageReady, plan.StageOpen, plan.StageResume, plan.StageSettle} {
		if n := strings.Count(svg, ".nrn-"+string(stage)+"{") + strings.Count(svg, ".nrn-"+string(stage)+","); n != 2 {
			t.Errorf("stage %s has %d colours, want 2", stage, n)
		}
	}
}

// A picture of thirty-five services is one of rows, not of pages.
func TestManyServicesFit(t *testing.T) {
	t.Parallel()
	p := closing()
	p.Services = nil
	p.Stages = []plan.Stage{{Name: plan.StageClose}}
	for i := range 60 {
		name := "service-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		p.Services = append(p.Services, plan.Service{Name: name})
		p.Stages[0].Steps = append(p.Stages[0].Steps, change("close-"+name, name, plan.StageClose))
	}
	c := record("close-1125-vrws", p, "ann@bastion", night()).stage(plan.StageClose)
	for _, s := range p.Steps() {
		c.begin(s.ID).after(20*ms).done(s.ID, "")
	}
	svg := report.Of(report.Source{Closing: c.end(run.Done, nil), Zone: zone(), Now: night().Add(time.Hour)}).SVG(report.Wide, "x")
	for _, want := range []string{"60 services closed", "and 20 more, in the table"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture of 60 services does not say %q", want)
		}
	}
}

// TestEachStageHasAColour, for light and for dark: without one it is black.
func TestEachStageHasAColour(t *testing.T) {
	t.Parallel()
	picture := report.Of(stories()["resumed"]).SVG(report.Wide, "x")
	light, dark, _ := strings.Cut(picture, "@media (prefers-color-scheme:dark)")
	for _, stage := range []plan.StageName{plan.StageCheck, plan.StagePause, plan.StageTell, plan.StageClose, plan.StageRenew, plan.StageProve, plan.StageRest,
		plan.StageStart, plan.StageReady, plan.StageOpen, plan.StageResume, plan.StageSettle, plan.StageReturn} {
		for theme, text := range map[string]string{"light": light, "dark": dark} {
			if !regexp.MustCompile(`\.nrn-` + string(stage) + `[,{]`).MatchString(text) {
				t.Errorf("stage %s has no colour in the %s theme", stage, theme)
			}
		}
	}
}

// TestOnlyFrontDoorsAreOutside: that endpoints are ready is not seen from there.
func TestOnlyFrontDoorsAreOutside(t *testing.T) {
	t.Parallel()
	story := record("open-1125-dddd", opening(), "ann@bastion", night().Add(30*time.Minute))
	ready := &story.part.Run.Plan.Stages[0].Steps[0]
	ready.Action, ready.Title = "kube/backend.ready", "Is the application up?"
	story.stage(plan.StageReady).begin("ready-1").after(time.Second).done("ready-1", "every Service has a ready endpoint")
	still := closed()
	still.end(run.Done, nil)
	r := report.Of(report.Source{Closing: still.part, Following: []report.Part{story.end(run.Done, nil)}, Zone: zone(), Now: night().Add(time.Hour)})
	for _, p := range r.Proofs {
		if p.Title == ready.Title {
			t.Errorf("%q is told as seen from outside: %s", p.Title, p.Saw)
		}
	}
	if len(r.Proofs) == 0 {
		t.Error("nothing was seen from outside")
	}
}
