package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/noren-dev/noren"

// A file is one Go file of the module.
type file struct {
	path    string // "internal/edge/edge.go"
	pkg     string // its folder, "internal/edge"
	test    bool
	lines   int
	imports []string // those of this module without its name: "internal/edge"
	syntax  *ast.File
	fset    *token.FileSet
}

// at says where in the file a node stands, for messages.
func (f *file) at(n ast.Node) string {
	return f.path + ":" + strconv.Itoa(f.fset.Position(n.Pos()).Line)
}

// ours tells whether an import is of this module.
func ours(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return slices.Contains([]string{"cmd", "internal", "examples", "test"}, first)
}

// standard tells whether an import is of the standard library.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".") && !ours(imp)
}

// under tells whether a package is one of the folders or lies below one.
func under(pkg string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return pkg == f || strings.HasPrefix(pkg, f+"/") })
}

// root is the module's folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// tree reads every Go file of the module. Modules inside it, such as the tools
// and the test server, are not part of it.
func tree(t testing.TB) []*file {
	t.Helper()
	fset := token.NewFileSet()
	var files []*file
	each(t, ".go", func(name, src string) { files = append(files, parse(t, fset, name, src)) })
	return files
}

// each reads every file of the module with that ending. Names are from the
// module's root, with slashes.
func each(t testing.TB, ext string, do func(name, text string)) {
	t.Helper()
	top := root(t)
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != top && foreign(name):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ext:
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		do(filepath.ToSlash(rel), string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// foreign tells whether a folder is not the module's code.
func foreign(dir string) bool {
	base := filepath.Base(dir)
	if base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func parse(t testing.TB, fset *token.FileSet, name, src string) *file {
	t.Helper()
	syntax, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	f := &file{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		lines: strings.Count(src, "\n"), syntax: syntax, fset: fset}
	for _, s := range syntax.Imports {
		imp, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f.imports = append(f.imports, strings.TrimPrefix(imp, module+"/"))
	}
	return f
}
