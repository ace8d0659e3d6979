package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

const pass = "k7w2secretpass"

// chain makes links of events' data, chained.
func chain(data ...string) []audit.Link {
	var links []audit.Link
	at := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)
	types := []run.Type{run.RunCreated, run.RunStarted, run.Prepared, run.StepDone, run.StepWaiting, run.RunEnded}
	prev := ""
	for i, d := range data {
		l := audit.Link{Seq: int64(i + 1), Run: "close-1124-abcd", Type: types[i%len(types)], At: at.Add(time.Duration(i) * time.Second), Data: []byte(d), Prev: prev}
		if l.Type == run.StepDone || l.Type == run.StepWaiting {
			l.Step = "close-1"
		}
		l.Hash = l.Sum()
		prev = l.Hash
		links = append(links, l)
	}
	return links
}

func story() []audit.Link {
	return chain(`{"actor":"ann@here","digest":"sha256:abc","origin":{"user":"ann","host":"here","client":"203.0.113.7","command":"=cmd|calc"}}`,
		`{}`, `{"receipts":{"close-1":"sha256:def"}}`, `{"verdict":{"ok":true,"summary":"\u003cb\u003e \"山\", seen"}}`,
		`{"verdict":{"ok":false,"summary":"still closed","findings":["203.0.113.9: 503"]}}`, `{"status":"done"}`)
}

func records(t *testing.T, links []audit.Link) []audit.Record {
	t.Helper()
	p := &plan.Plan{Kind: plan.Close, Pass: pass, Environment: plan.Environment{Name: "prod"}, Zone: "Asia/Tokyo", Services: []plan.Service{{Name: "shop"}},
		Stages: []plan.Stage{{Name: plan.StageClose, Steps: []plan.Step{{ID: "close-1", Title: "Close shop", Target: "gate:prod/shop", Action: "gate/door.close"}}}}}
	rec := audit.NewRecorder([]*run.Run{run.New("close-1124-abcd", p, "sha256:abc", "ann@here", time.Time{})})
	var all []audit.Record
	for _, l := range links {
		r, err := rec.Record(l)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func export(t *testing.T, f audit.Format, links []audit.Link) string {
	t.Helper()
	var b bytes.Buffer
	if err := audit.Export(&b, f, records(t, links)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wantBroken(t *testing.T, err error, says string) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.CheckFailed || !strings.Contains(f.Detail, says) {
		t.Errorf("got %v, want a failed check that says %q", err, says)
	}
}

func TestExportsVerify(t *testing.T) {
	t.Parallel()
	links := story()
	for _, f := range []audit.Format{audit.JSONL, audit.CSV} {
		text := export(t, f, links)
		for _, head := range []string{"", links[3].Hash, links[5].Hash} {
			rep, err := audit.VerifyExport(strings.NewReader(text), head)
			if err != nil || rep.Records != 6 || rep.Head != links[5].Hash || !rep.To.Equal(links[5].At) {
				t.Errorf("%s, head %q: %+v, %v\n%s", f, head, rep, err, text)
			}
		}
		_, err := audit.VerifyExport(strings.NewReader(text), strings.Repeat("0", 64))
		wantBroken(t, err, "is not in these records")
	}
	if text := export(t, audit.CSV, links); !strings.Contains(text, "'=cmd|calc") {
		t.Errorf("a command is a formula:\n%s", text)
	}
	if rep, err := audit.VerifyExport(strings.NewReader(export(t, audit.JSONL, nil)), ""); err != nil || rep.Records != 0 {
		t.Errorf("an export of nothing: %+v, %v", rep, err)
	}
}

func TestTamperedExports(t *testing.T) {
	t.Parallel()
	lines := func(text string) []string { return strings.SplitAfter(text, "\n") }
	tests := []struct {
		name   string
		tamper func(string) string
		says   string
	}{
		{"data", func(s string) string { return strings.Replace(s, "still closed", "open", 1) }, "was altered"},
		{"a time", func(s string) string { return strings.Replace(s, "17:00:03", "18:00:03", 1) }, "Record 4"},
		{"beside the chain", func(s string) string { return strings.Replace(s, "gate:prod/shop", "gate:prod/api", 1) }, "What stands beside the chain"},
		{"a line removed", func(s string) string {
			l := lines(s)
			i := len(l) - 5
			return strings.Join(append(l[:i:i], l[i+1:]...), "")
		}, "is missing"},
		{"the end cut off", func(s string) string {
			l := lines(s)
			return strings.Join(l[:len(l)-3], "")
		}, "was cut"},
		{"the end cut off but the last line", func(s string) string {
			l := lines(s)
			i := len(l) - 3
			return strings.Join(append(l[:i:i], l[i+1:]...), "")
		}, "was cut"},
		{"two lines swapped", func(s string) string {
			l := lines(s)
			i := len(l) - 5
			l[i], l[i+1] = l[i+1], l[i]
			return strings.Join(l, "")
		}, "missing"},
		{"a line after the end", func(s string) string { return s + lines(s)[len(lines(s))-3] }, "What stands beside the chain"},
		{"half a line", func(s string) string { return s[:len(s)-40] }, "read"},
	}
	for _, tt := range tests {
		for _, f := range []audit.Format{audit.JSONL, audit.CSV} {
			t.Run(fmt.Sprintf("%s/%s", tt.name, f), func(t *testing.T) {
				t.Parallel()
				text := export(t, f, story())
				changed := tt.tamper(text)
				if changed == text {
					t.Fatal("nothing was changed")
				}
				if f == audit.CSV && tt.name == "half a line" {
					tt.says = "" // a short hash is an altered one
				}
				_, err := audit.VerifyExport(strings.NewReader(changed), "")
				wantBroken(t, err, tt.says)
			})
		}
	}
	for _, text := range []string{"", "hello\n", `{"type":"event"}` + "\n"} {
		if _, err := audit.VerifyExport(strings.NewReader(text), ""); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
			t.Errorf("%q: %v, want a fault that says that this is no export", text, err)
		}
	}
}

// Events of a noren that did not yet hide the pass are hidden when shown.
func TestNoRecordShowsAPass(t *testing.T) {
	t.Parallel()
	links := chain(`{"actor":"ann@here"}`, `{"text":"X-Noren-Pass: `+pass+`"}`, `{}`)
	for _, f := range []audit.Format{audit.JSONL, audit.CSV} {
		text := export(t, f, links)
		if strings.Contains(text, pass) || !strings.Contains(text, run.Hidden) {
			t.Errorf("%s:\n%s", f, text)
		}
		rep, err := audit.VerifyExport(strings.NewReader(text), "")
		if err != nil || rep.Hidden != 1 || rep.Records != 3 {
			t.Errorf("%s: %+v, %v", f, rep, err)
		}
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	r := records(t, story())[0]
	for _, f := range []audit.Filter{{}, {Run: "close-1124-abcd"}, {Environment: "prod", Service: "shop"}, {Since: time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)}} {
		if !f.Chooses(r) {
			t.Errorf("%+v leaves out %+v", f, r)
		}
	}
	for _, f := range []audit.Filter{{Run: "close-1124-abce"}, {Environment: "qa"}, {Service: "api"}, {Since: time.Date(2026, 11, 24, 17, 0, 1, 0, time.UTC)}} {
		if f.Chooses(r) {
			t.Errorf("%+v chooses %+v", f, r)
		}
	}
}
