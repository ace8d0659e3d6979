// Package docs_test keeps the documents true where a machine can tell: links
// lead somewhere, and every command shown is one that noren has, with the flags
// shown. The same goes for commands that noren's own messages suggest.
package docs_test

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
)

var (
	link   = regexp.MustCompile(`(?:\]\(|(?:src|href)=")([^)"#\s]+)(?:#[^)"\s]*)?[)"]`)
	block  = regexp.MustCompile("(?ms)^[ \t]*```(console|sh|bash)\n(.*?)^[ \t]*```")
	fence  = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```")
	inline = regexp.MustCompile("`(noren [^`\n]+)`")
	// spoken finds commands in what noren says: behind a colon, a gap or a
	// backquote, or with something that only a command has.
	spoken = regexp.MustCompile("(?:: +|`|  +|\n)(noren [a-z][a-z-]*(?: --[a-z-]+)*)|(noren [a-z][a-z-]* (?:--[a-z-]+|[A-Z]{2,}))")
	// sentence is where noren is the subject.
	sentence = regexp.MustCompile(`^noren (cannot|can|may|does|has|is|will)\b`)
)

// TestLinks follows every relative link of every document, pictures too.
func TestLinks(t *testing.T) {
	t.Parallel()
	for name, text := range tree(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	}
}

// TestCommandsInDocuments tries every command of a console block, and those in
// running text.
func TestCommandsInDocuments(t *testing.T) {
	t.Parallel()
	found := 0
	for name, text := range tree(t, ".md") {
		if strings.Contains(filepath.ToSlash(name), "docs/reference/") {
			continue // written from the commands themselves
		}
		var lines []string
		for _, b := range block.FindAllStringSubmatch(text, -1) {
			whole := strings.ReplaceAll(b[2], "\\\n", " ")
			prompts := strings.Contains("\n"+whole, "\n$ ")
			for line := range strings.Lines(whole) {
				command, prompt := strings.CutPrefix(strings.TrimSpace(line), "$ ")
				if prompt || !prompts {
					lines = append(lines, command)
				}
			}
		}
		for _, m := range inline.FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			for _, args := range commands(line) {
				found++
				if problem := try(args); problem != "" {
					t.Errorf("%s shows noren %s: %s", name, strings.Join(args, " "), problem)
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d commands were found in the documents", found)
	}
}

// TestCommandsInMessages tries every command that the program's texts suggest.
func TestCommandsInMessages(t *testing.T) {
	t.Parallel()
	found, set := 0, token.NewFileSet()
	for name, text := range tree(t, ".go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, said := range suggestions(file) {
			for _, args := range commands(said) {
				found++
				if problem := try(args); problem != "" {
					t.Errorf("%s suggests noren %s: %s", name, strings.Join(args, " "), problem)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found in the program's messages", found)
	}
}

// suggestions are the texts of a file that show a command: those of a fault's
// Try that begin with noren, and what [spoken] finds elsewhere.
func suggestions(file *ast.File) []string {
	var said []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Try" {
				for _, s := range literals(n.Value) {
					if strings.HasPrefix(s, "noren ") {
						said = append(said, s)
					}
				}
				return false
			}
		case *ast.BasicLit:
			for _, s := range literals(n) {
				for _, m := range spoken.FindAllStringSubmatch(s, -1) {
					if text := m[1] + m[2]; !sentence.MatchString(text) {
						said = append(said, text)
					}
				}
			}
		}
		return true
	})
	return said
}

func literals(n ast.Node) []string {
	var all []string
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				all = append(all, s)
			}
		}
		return true
	})
	return all
}

// commands returns the arguments of each call of noren in a line of shell.
func commands(line string) [][]string {
	var all [][]string
	words := split(line)
	for i, word := range words {
		begins := i == 0 || strings.Contains(" $ | || & && ; if ! then do else ( $( ", " "+words[i-1]+" ")
		if word != "noren" || !begins {
			continue
		}
		end := i + 1
		for end < len(words) && !strings.Contains(" | || & && ; > >> 2> ) < ", " "+words[end]+" ") {
			end++
		}
		all = append(all, words[i+1:end])
	}
	return all
}

// split cuts a line of shell into words, without its comment. What stands
// between quotes is one word; operators are words of their own.
func split(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	open := false // a word is begun, be it empty
	end := func() {
		if open {
			words = append(words, word.String())
		}
		word.Reset()
		open = false
	}
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == '#' && !open:
			return words
		case c == ' ' || c == '\t' || c == '\n':
			end()
		case strings.ContainsRune("|;&()<>", c):
			end()
			words = append(words, string(c))
		default:
			word.WriteRune(c)
			open = true
		}
	}
	end()
	return words
}

// try asks noren for the help of a command as it is shown, which makes it read
// the flags. It returns what is wrong, "" if nothing is.
func try(args []string) string {
	var out bytes.Buffer
	// --help comes before the other flags: the last of them may lack its value.
	words := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	if words < 0 {
		words = len(args)
	}
	code := cli.Main(context.Background(), cli.World{Args: slices.Insert(slices.Clone(args), words, "--help"), Stdout: &out, Stderr: &out, Registry: all.Registry()})
	if strings.Contains(out.String(), "needs an argument") {
		return ""
	}
	if code != 0 {
		return strings.TrimSpace(out.String())
	}
	// A command that others stand below does not complain of a word that is
	// none of them.
	_, usage, _ := strings.Cut(out.String(), "Usage:\n  noren ")
	usage, _, _ = strings.Cut(usage, " [")
	depth := len(strings.Fields(usage))
	if strings.Contains(out.String(), "Available Commands:") && len(args) > depth && !strings.HasPrefix(args[depth], "-") && args[depth] != "…" {
		return "there is no such command"
	}
	return ""
}

// tree reads every file of the project with an ending, by its path from here.
func tree(t *testing.T, ending string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		base := filepath.Base(name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != ".." && (strings.HasPrefix(base, ".") || base == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ending:
			return nil
		}
		text, err := os.ReadFile(name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
