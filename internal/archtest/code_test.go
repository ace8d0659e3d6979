package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// maxLines is how long a Go file may be, tests included: what does not fit a
// reader's head is two things.
const maxLines = 500

func TestFilesAreShort(t *testing.T) {
	for _, f := range tree(t) {
		if f.lines > maxLines {
			t.Errorf("%s has %d lines\n  rule: no file is longer than %d lines\n  why:  what does not fit a reader's head is two things", f.path, f.lines, maxLines)
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, f := range tree(t) {
		for _, where := range inits(f) {
			t.Errorf("%s\n  rule: no init functions\n  why:  importing a package must do nothing; say in main what happens", where)
		}
	}
}

func inits(f *file) []string {
	var found []string
	for _, d := range f.syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, f.at(fn))
		}
	}
	return found
}

// clock are the functions of package time that ask the clock or wait.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestPurePackagesAskNoClock(t *testing.T) {
	for _, f := range tree(t) {
		if !in(pure...)(f) {
			continue
		}
		for _, use := range uses(f, "time", "time", func(name string) bool { return slices.Contains(clock, name) }) {
			t.Errorf("%s\n  rule: plan, run, edge, audit and report do not ask the clock\n  why:  the same input must give the same answer, today and in a test; time is an argument", use)
		}
	}
}

func TestPurePackagesUseOnlyHeaders(t *testing.T) {
	for _, f := range tree(t) {
		if !in(pure...)(f) {
			continue
		}
		for _, use := range uses(f, "net/http", "http", notHeader) {
			t.Errorf("%s\n  rule: pure packages take of net/http only headers, methods and statuses\n  why:  the rest of it talks to the network", use)
		}
	}
}

func notHeader(name string) bool {
	return name != "Header" && name != "CanonicalHeaderKey" && !strings.HasPrefix(name, "Method") && !strings.HasPrefix(name, "Status")
}

// uses lists where f names something of an imported package that refused says.
func uses(f *file, imp, name string, refused func(string) bool) []string {
	if !slices.Contains(f.imports, imp) {
		return nil
	}
	var found []string
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == name && refused(sel.Sel.Name) {
			found = append(found, fmt.Sprintf("%s uses %s.%s", f.at(sel), name, sel.Sel.Name))
		}
		return true
	})
	return found
}

func TestPackageVariablesDoNotChange(t *testing.T) {
	for _, pkg := range shippedPackages(tree(t)) {
		for _, b := range changing(pkg) {
			t.Errorf("%s\n  rule: no package variable changes after its declaration\n  why:  two tests, or two runs in one process, would meet in it; make it a field", b)
		}
	}
}

// shippedPackages groups the files that are no tests by package. Files for
// different systems may declare the same names; the checker below forgives it.
func shippedPackages(files []*file) [][]*file {
	byName := map[string][]*file{}
	for _, f := range files {
		if shipped(f) {
			byName[f.pkg] = append(byName[f.pkg], f)
		}
	}
	var all [][]*file
	for _, pkg := range byName {
		all = append(all, pkg)
	}
	return all
}

// changing lists the places of one package where a variable of the package is
// written, its address is taken, or it is of a type that exists to be changed.
func changing(pkg []*file) []string {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	// Names are all that is asked for, and these resolve without imports: so
	// errors are no matter, and neither is code that does not compile yet.
	cfg := types.Config{Importer: noImports{}, Error: func(error) {}, DisableUnusedImportCheck: true, FakeImportC: true}
	var syntax []*ast.File
	for _, f := range pkg {
		syntax = append(syntax, f.syntax)
	}
	checked, _ := cfg.Check(pkg[0].pkg, pkg[0].fset, syntax, info)
	isVar := func(e ast.Expr) bool {
		id := rootOf(e)
		if id == nil {
			return false
		}
		v, ok := info.Uses[id].(*types.Var)
		return ok && checked != nil && v.Parent() == checked.Scope()
	}
	var found []string
	for _, f := range pkg {
		say := func(n ast.Node, what string) { found = append(found, f.at(n)+" "+what) }
		for _, d := range f.syntax.Decls {
			mutableTypes(d, say)
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			writes(n, isVar, say)
			return true
		})
	}
	slices.Sort(found)
	return found
}

// writes reports if n writes to an expression that begins at a package variable.
func writes(n ast.Node, isVar func(ast.Expr) bool, say func(ast.Node, string)) {
	var written []ast.Expr
	what := "is written"
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			written = n.Lhs
		}
	case *ast.IncDecStmt:
		written = []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			written = []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			written, what = []ast.Expr{n.X}, "has its address taken"
		}
	case *ast.CallExpr:
		if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (fn.Name == "delete" || fn.Name == "clear") {
			written = n.Args[:1]
		}
	}
	for _, e := range written {
		if e != nil && isVar(e) {
			say(e, types.ExprString(e)+" "+what)
		}
	}
}

// mutableTypes reports package variables whose type is a lock, an atomic or a
// channel.
func mutableTypes(d ast.Decl, say func(ast.Node, string)) {
	gen, ok := d.(*ast.GenDecl)
	if !ok || gen.Tok != token.VAR {
		return
	}
	for _, s := range gen.Specs {
		v := s.(*ast.ValueSpec)
		if v.Type == nil {
			continue
		}
		if name := types.ExprString(v.Type); strings.HasPrefix(name, "sync.") || strings.HasPrefix(name, "atomic.") || strings.Contains(name, "chan ") {
			say(v, v.Names[0].Name+" is a "+name)
		}
	}
}

// rootOf returns the identifier that an expression such as a.b[c].d begins
// with. A pointer that is followed on the way does not matter: what it points
// to is reached through the variable all the same.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// noImports gives every import an empty package.
type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	p.MarkComplete()
	return p, nil
}

// TestCodeRulesRefuse shows that the rules of this file see what they are for.
func TestCodeRulesRefuse(t *testing.T) {
	f := parse(t, token.NewFileSet(), "internal/run/x.go", `package run

import (
	"net/http"
	"sync"
	"time"
)

var count int
var byName = map[string]int{}
var lock sync.Mutex
var fine = []string{"a"}

func init() { count = 1 }

func f(other map[string]int) {
	count++
	byName["a"] = 1
	delete(byName, "a")
	g(&count)
	fine := fine
	fine[0] = "local"
	other["a"] = 2
	_ = time.Now()
	_ = http.Get
	_ = http.MethodGet
}
`)
	if got := inits(f); len(got) != 1 {
		t.Errorf("init functions found: %q", got)
	}
	want := []string{"internal/run/x.go:11 lock is a sync.Mutex", "internal/run/x.go:14 count is written",
		"internal/run/x.go:17 count is written", `internal/run/x.go:18 byName["a"] is written`,
		"internal/run/x.go:19 byName is written", "internal/run/x.go:20 count has its address taken"}
	if got := changing([]*file{f}); !slices.Equal(got, want) {
		t.Errorf("changing variables found:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := uses(f, "time", "time", func(n string) bool { return slices.Contains(clock, n) }); len(got) != 1 {
		t.Errorf("uses of the clock found: %q", got)
	}
	if got := uses(f, "net/http", "http", notHeader); len(got) != 1 {
		t.Errorf("uses of net/http found: %q", got)
	}
}
