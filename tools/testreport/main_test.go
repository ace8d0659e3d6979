package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	skips := filepath.Join(t.TempDir(), "skips.txt")
	if err := os.WriteFile(skips, []byte("# why\np TestOld # no longer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const good = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
	for name, c := range map[string]struct {
		events string
		ok     bool
		says   []string
	}{
		"passes": {good + `{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}` + "\n" + `{"Action":"pass","Package":"p"}`,
			true, []string{"ok  \tp\t0.1s\n", "1 passed, 0 failed, 0 skipped\n"}},
		"fails": {good + `{"Action":"output","Package":"p","Test":"TestB","Output":"got 1\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}` + "\n" + `{"Action":"fail","Package":"p"}`,
			false, []string{"got 1\n", "failed: p TestB\n", "1 passed, 1 failed, 0 skipped\n"}},
		"skips as allowed": {good + `{"Action":"skip","Package":"p","Test":"TestOld"}`,
			true, []string{"1 passed, 0 failed, 1 skipped\n"}},
		"skips silently": {good + `{"Action":"skip","Package":"p","Test":"TestB"}`,
			false, []string{"NOT LISTED AS ALLOWED: p TestB", "1 passed, 1 failed, 0 skipped\n"}},
		"does not compile": {good + `{"Action":"build-output","ImportPath":"q","Output":"q.go:1: no\n"}` + "\n" +
			`{"Action":"build-fail","ImportPath":"q"}` + "\n" + `{"Action":"fail","Package":"q","FailedBuild":"q"}` + "\n" + `{"Action":"fail","Package":"r","FailedBuild":"q"}`,
			false, []string{"q.go:1: no\n", "1 passed, 1 failed, 0 skipped\n"}},
		"panics outside tests": {good + `{"Action":"output","Package":"p","Output":"panic: no\n"}` + "\n" + `{"Action":"fail","Package":"p"}`,
			false, []string{"panic: no\n", "1 passed, 1 failed, 0 skipped\n"}},
		"two packages fail by themselves": {`{"Action":"fail","Package":"p"}` + "\n" + `{"Action":"fail","Package":"q"}`,
			false, []string{"0 passed, 2 failed, 0 skipped\n"}},
		"runs nothing":  {"", false, []string{"no test ran", "0 passed, 0 failed, 0 skipped\n"}},
		"is no go test": {"go: no such flag\n" + good, true, []string{"go: no such flag\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.allow(skips); err != nil {
				t.Fatal(err)
			}
			if err := r.read(strings.NewReader(c.events)); err != nil {
				t.Fatal(err)
			}
			if ok := r.end(); ok != c.ok {
				t.Errorf("all is well: %v, want %v", ok, c.ok)
			}
			for _, want := range c.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the report does not say %q:\n%s", want, out.String())
				}
			}
		})
	}
}
