package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link is the target of a Markdown link or picture, without its fragment.
var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)\s]*)?\)`)

// TestLinks follows the links of every document to files of the project.
func TestLinks(t *testing.T) {
	top := root(t)
	each(t, ".md", func(name, page string) {
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(top, filepath.Dir(name), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	})
}

// TestContributingShowsTheExample keeps the Go code of CONTRIBUTING.md as it
// stands in examples/driver, where it is compiled and tested.
func TestContributingShowsTheExample(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join(root(t), "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(root(t), "examples", "driver", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(src)
	}
	blocks := goBlock.FindAllStringSubmatch(string(guide), -1)
	if len(blocks) == 0 {
		t.Error("CONTRIBUTING.md shows no Go code")
	}
	for _, b := range blocks {
		if !strings.Contains(code.String(), b[1]) {
			t.Errorf("CONTRIBUTING.md shows code that is not in examples/driver:\n%s", b[1])
		}
	}
}

// goBlock is a fenced block of Go in Markdown.
var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")
