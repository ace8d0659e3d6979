package fault_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/noren-dev/noren/internal/fault"
)

func TestOfAndExit(t *testing.T) {
	t.Parallel()
	drift := &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: io.EOF}
	invalid := &fault.Fault{Code: fault.Invalid, Summary: "unknown key"}
	stranded := &fault.Fault{Code: fault.Stranded, Summary: "stranded"}
	tests := []struct {
		name string
		err  error
		want []fault.Code
		exit int
	}{
		{"nothing", nil, nil, fault.ExitDone},
		{"plain", io.EOF, []fault.Code{fault.Internal}, fault.ExitError},
		{"fault", drift, []fault.Code{fault.Drift}, fault.ExitDrift},
		{"wrapped", fmt.Errorf("run c1: %w", drift), []fault.Code{fault.Drift}, fault.ExitDrift},
		{"joined", errors.Join(invalid, drift), []fault.Code{fault.Invalid, fault.Drift}, fault.ExitDrift},
		{"joined twice in the same words", errors.Join(drift, &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: io.EOF}, invalid), []fault.Code{fault.Drift, fault.Invalid}, fault.ExitDrift},
		{"joined below text", fmt.Errorf("plan: %w", errors.Join(invalid, drift)), []fault.Code{fault.Invalid, fault.Drift}, fault.ExitDrift},
		{"joined beside plain", errors.Join(invalid, io.EOF), []fault.Code{fault.Invalid, fault.Internal}, fault.ExitUsage},
		{"plain ones joined", errors.Join(io.EOF, io.ErrClosedPipe), []fault.Code{fault.Internal, fault.Internal}, fault.ExitError},
		{"sentinel in one sentence", fmt.Errorf("%w: %w", io.EOF, drift), []fault.Code{fault.Drift}, fault.ExitDrift},
		{"sentinels in one sentence", fmt.Errorf("%w: %w", io.EOF, io.ErrClosedPipe), []fault.Code{fault.Internal}, fault.ExitError},
		{"stranded first", errors.Join(drift, stranded, invalid), []fault.Code{fault.Drift, fault.Stranded, fault.Invalid}, fault.ExitStranded},
		{"interrupted", &fault.Fault{Code: fault.Interrupted}, []fault.Code{fault.Interrupted}, 130},
		{"locked", &fault.Fault{Code: fault.Locked}, []fault.Code{fault.Locked}, 12},
		{"check failed", &fault.Fault{Code: fault.CheckFailed}, []fault.Code{fault.CheckFailed}, 10},
		{"unknown code", &fault.Fault{Code: "new"}, []fault.Code{"new"}, fault.ExitError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []fault.Code
			for _, f := range fault.Of(tt.err) {
				got = append(got, f.Code)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults %v, want %v", got, tt.want)
			}
			if got := fault.ExitOf(tt.err); got != tt.exit {
				t.Errorf("exit %d, want %d", got, tt.exit)
			}
		})
	}
	if !errors.Is(fmt.Errorf("x: %w", drift), &fault.Fault{Code: fault.Drift}) || errors.Is(drift, &fault.Fault{Code: fault.Denied}) || !errors.Is(drift, io.EOF) {
		t.Error("Is must compare codes and look at the cause")
	}
}

func TestErrorIsOneLineOfFacts(t *testing.T) {
	t.Parallel()
	f := &fault.Fault{Summary: "unknown key", Detail: "services.web.entrace", At: &fault.Position{File: "noren.yaml", Line: 3, Column: 5}, Err: io.EOF}
	if got, want := f.Error(), "noren.yaml:3:5: unknown key: services.web.entrace: EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f.Detail = "the file ends: EOF."
	if got := f.Error(); strings.Count(got, "EOF") != 1 {
		t.Errorf("%q says the cause twice", got)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"web", "api", "checkout", "checkin", "qa", "商品"}
	for typed, want := range map[string]string{
		"wbe": "web", "WEB": "web", "chekout": "checkout", "checkuot": "checkout", "api2": "api",
		"qaa": "qa", "warehouse": "", "": "", "商": "商品", "payments": "",
	} {
		if got := fault.Nearest(typed, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", typed, got, want)
		}
	}
	if got := fault.Nearest("web", nil); got != "" {
		t.Errorf("of none: %q", got)
	}
}

func TestNearestFindsOneSlip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := []rune(rapid.StringMatching(`[a-z]{3,12}`).Draw(t, "name"))
		i := rapid.IntRange(0, len(name)-2).Draw(t, "where")
		typed := slices.Clone(name)
		switch rapid.IntRange(0, 3).Draw(t, "slip") {
		case 0:
			typed[i], typed[i+1] = typed[i+1], typed[i]
		case 1:
			typed = slices.Delete(typed, i, i+1)
		case 2:
			typed = slices.Insert(typed, i, 'x')
		case 3:
			typed[i] = 'x'
		}
		if got := fault.Nearest(string(typed), []string{"0123456789012345", string(name)}); got != string(name) {
			t.Fatalf("Nearest(%q) = %q, want %q", string(typed), got, string(name))
		}
	})
}
