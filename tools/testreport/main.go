// Command testreport reads the events of `go test -json` and prints what a
// person wants of them: go test's own line for each package, the output of the
// tests that failed, and at the end "N passed, M failed".
//
// It exits with 1 if a test failed or did not compile, if no test ran at all,
// or if a test was skipped that is not listed in the file -skips: a test that
// silently stops running protects nobody.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// An event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a build that fails
	Test        string
	Output      string
	FailedBuild string
}

type report struct {
	out                     io.Writer
	allowed                 []string
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by package and test
	brokenIn                map[string]bool             // packages with a failed test
	builds                  map[string]bool             // builds that failed, told once
	failures                []string
	badSkips                []string
}

func main() {
	skips := flag.String("skips", "", "file of tests that may be skipped: 'package test', one a line, # for comments")
	flag.Parse()
	r := newReport(os.Stdout)
	err := r.allow(*skips)
	if err == nil {
		err = r.read(os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.end() {
		os.Exit(1)
	}
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string]*strings.Builder{}, brokenIn: map[string]bool{}, builds: map[string]bool{}}
}

func (r *report) allow(name string) error {
	if name == "" {
		return nil
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) == 2 {
			r.allowed = append(r.allowed, f[0]+" "+f[1])
		} else if len(f) != 0 {
			return fmt.Errorf("%s: %q is not 'package test'", name, strings.TrimSpace(line))
		}
	}
	return nil
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(r.out, lines.Text()) // go's own words, such as a bad flag
			continue
		}
		r.event(e)
	}
	return lines.Err()
}

func (r *report) event(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.say(e, key)
	case "pass":
		if e.Test != "" {
			r.passed++
		}
		delete(r.output, key)
	case "skip":
		if e.Test != "" {
			r.skipped++
			if !slices.Contains(r.allowed, key) {
				r.badSkips = append(r.badSkips, key+"\n"+r.text(key))
			}
		}
		delete(r.output, key)
	case "fail":
		r.fail(e, key)
	}
}

// say keeps a test's output until it is known how it ended; a package's own
// lines ("ok ...", "FAIL ...") are printed at once, unless it has no tests.
func (r *report) say(e event, key string) {
	if strings.HasSuffix(e.Output, "[no test files]\n") || strings.HasSuffix(e.Output, "[no tests to run]\n") {
		return
	}
	if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t")) {
		fmt.Fprint(r.out, e.Output)
		return
	}
	if r.output[key] == nil {
		r.output[key] = &strings.Builder{}
	}
	r.output[key].WriteString(e.Output)
}

func (r *report) fail(e event, key string) {
	if e.Test == "" {
		// A package fails by its tests, or else by itself: it did not compile,
		// it panicked outside a test, or its time was up.
		if r.brokenIn[e.Package] {
			return
		}
		if e.FailedBuild != "" && r.builds[e.FailedBuild] {
			return
		}
		r.builds[e.FailedBuild] = e.FailedBuild != "" // "" is no build
	}
	r.failed++
	r.brokenIn[e.Package] = true
	r.failures = append(r.failures, key)
	fmt.Fprintf(r.out, "--- FAIL: %s\n%s", key, r.text(key))
	delete(r.output, key)
}

func (r *report) text(key string) string {
	if b := r.output[key]; b != nil {
		return b.String()
	}
	return ""
}

// end prints what remains to be said and tells whether all is well.
func (r *report) end() bool {
	for _, s := range r.badSkips {
		fmt.Fprintf(r.out, "--- SKIPPED, AND NOT LISTED AS ALLOWED: %s", s)
	}
	for _, f := range r.failures {
		fmt.Fprintln(r.out, "failed:", f)
	}
	failed := r.failed + len(r.badSkips)
	if r.passed+failed == 0 {
		fmt.Fprintln(r.out, "no test ran")
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, failed, r.skipped-len(r.badSkips))
	return failed == 0 && r.passed > 0
}
