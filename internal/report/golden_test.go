package report_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/report"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// TestGolden keeps what is written of each story. go test -update writes
// the files anew: look at them before you commit them.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, source := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := report.Of(source)
			page, err := r.HTML()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.MarshalIndent(r, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".md", r.Markdown(name+".svg"))
			golden(t, name+".svg", r.SVG(report.Wide, "timeline"))
			golden(t, name+".html", page)
			if name == "done" {
				golden(t, filepath.Join("..", "..", "..", "docs", "img", "timeline.svg"), r.SVG(report.Wide, "timeline"))
			}
			golden(t, name+".json", string(raw)+"\n")
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", path, d)
	}
}

// TestPicturesAreWellFormed reads every picture as XML, as strict readers do,
// and holds it to what a page's pictures must be.
func TestPicturesAreWellFormed(t *testing.T) {
	t.Parallel()
	for name, source := range stories() {
		for _, width := range []int{report.Wide, report.Narrow} {
			svg := report.Of(source).SVG(width, "x")
			d := xml.NewDecoder(strings.NewReader(svg))
			for {
				_, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s at %d: %v\n%s", name, width, err, svg)
				}
			}
			for _, want := range []string{`role="img"`, `aria-labelledby="x-title x-desc"`, `<title id="x-title">`, `<desc id="x-desc">`, "prefers-color-scheme:dark"} {
				if !strings.Contains(svg, want) {
					t.Errorf("%s at %d: no %s", name, width, want)
				}
			}
			for _, bad := range []string{"<script", "href", "NaN", `="-`} {
				if strings.Contains(svg, bad) {
					t.Errorf("%s at %d: has %s", name, width, bad)
				}
			}
		}
	}
}
