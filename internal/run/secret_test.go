package run_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/run"
)

func TestWithoutHidesTheSecretEverywhere(t *testing.T) {
	t.Parallel()
	const pass = "k7w2secret"
	say := "X-Noren-Pass: " + pass
	d := run.Data{Actor: "ann@here", Text: say,
		Verdict: &action.Verdict{OK: true, Summary: say, Findings: []string{"fine", say}, Try: []string{say}},
		Problem: &run.Problem{Code: "drift", Summary: say, Detail: say, Left: say, Try: []string{say}}}
	before, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(d.Without(pass))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(raw); strings.Contains(got, pass) || !strings.Contains(got, "ann@here") || strings.Count(got, run.Hidden) != strings.Count(string(before), pass) {
		t.Errorf("with the secret hidden: %s", got)
	}
	if after, _ := json.Marshal(d); string(after) != string(before) {
		t.Errorf("what was given has changed: %s", after)
	}
	if same, _ := json.Marshal(d.Without("")); string(same) != string(before) {
		t.Errorf("no secret, and yet: %s", same)
	}
}
