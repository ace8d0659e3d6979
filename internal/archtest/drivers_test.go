package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A declared action is one that a driver adds with driver.Changes, .Checks or
// .Effects.
type declared struct {
	name   string
	change bool
	where  string
}

// TestDriversAreComplete holds every driver to what a reader and a colleague
// on duty need of it.
func TestDriversAreComplete(t *testing.T) {
	files := tree(t)
	pages := reference(t)
	list := listed(files)
	for _, dir := range drivers(files) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if !slices.Contains(list, dir) {
				t.Errorf("%s\n  rule: every driver is listed in driver/all\n  why:  one that is not listed does not exist for users", dir)
			}
			if _, err := os.Stat(filepath.Join(root(t), dir, "README.md")); err != nil {
				t.Errorf("%s\n  rule: every driver has a README.md\n  why:  whoever runs it must know the permissions it needs and the races that it leaves open", dir)
			}
			actions := actionsOf(t, files, dir)
			if len(actions) == 0 {
				t.Errorf("%s declares no action with a name written out\n  rule: action names are string literals\n  why:  people search for them", dir)
			}
			for _, a := range actions {
				if a.change && !contractTested(t, files, dir, a.name) {
					t.Errorf("%s %s\n  rule: every change is named in a test that calls actiontest.Exercise\n  why:  a change that has not passed the contract cannot be trusted to undo itself", a.where, a.name)
				}
				if !strings.Contains(pages, a.name) {
					t.Errorf("%s %s\n  rule: every action is in docs/reference (make generate)\n  why:  what is not written down is not used", a.where, a.name)
				}
			}
		})
	}
}

// drivers lists the folders of internal/driver with a function Driver.
func drivers(files []*file) []string {
	var dirs []string
	for _, f := range files {
		if !isDriver(f) || f.pkg != driverOf(f.pkg) || slices.Contains(dirs, f.pkg) {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "Driver" {
				dirs = append(dirs, f.pkg)
			}
		}
	}
	return dirs
}

// listed are the drivers that driver/all imports.
func listed(files []*file) []string {
	var dirs []string
	for _, f := range files {
		if f.pkg == "internal/driver/all" {
			dirs = append(dirs, f.imports...)
		}
	}
	return dirs
}

func actionsOf(t *testing.T, files []*file, dir string) []declared {
	t.Helper()
	var found []declared
	for _, f := range files {
		if !shipped(f) || !under(f.pkg, dir) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			kind := part(call.Fun)
			if kind != "Changes" && kind != "Checks" && kind != "Effects" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			name, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatalf("%s: %v", f.at(lit), err)
			}
			found = append(found, declared{name: name, change: kind == "Changes", where: f.at(call)})
			return true
		})
	}
	return found
}

// part returns X for driver.X and driver.X[types], else "".
func part(fun ast.Expr) string {
	switch x := fun.(type) {
	case *ast.IndexExpr:
		return part(x.X)
	case *ast.IndexListExpr:
		return part(x.X)
	case *ast.SelectorExpr:
		if id, ok := x.X.(*ast.Ident); ok && id.Name == "driver" {
			return x.Sel.Name
		}
	}
	return ""
}

// contractTested tells whether a test file of the driver that calls
// actiontest.Exercise names the action.
func contractTested(t *testing.T, files []*file, dir, name string) bool {
	t.Helper()
	for _, f := range files {
		if !f.test || !under(f.pkg, dir) || !slices.Contains(f.imports, "internal/action/actiontest") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root(t), f.path))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(src), "actiontest.Exercise(") && strings.Contains(string(src), name) {
			return true
		}
	}
	return false
}

// reference is the text of docs/reference.
func reference(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root(t), "docs", "reference", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob(filepath.Join(root(t), "docs", "reference", "*", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range append(names, deeper...) {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(page)
	}
	return text.String()
}
