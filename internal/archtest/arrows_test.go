package archtest

import (
	"fmt"
	"go/token"
	"strings"
	"testing"
)

// An arrow is a rule about who may import what.
type arrow struct {
	name string
	why  string
	// from chooses the files that the rule binds.
	from func(*file) bool
	// refuses tells whether such a file must not have that import.
	refuses func(f *file, imp string) bool
}

var faces = []string{"internal/cli", "internal/tui", "internal/httpapi", "internal/web"}

// upper are the packages above the drivers, from which requests come.
var upper = []string{"internal/catalog", "internal/runbook", "internal/plan", "internal/run", "internal/engine",
	"internal/store", "internal/audit", "internal/report", "internal/control", "internal/maintenance", "internal/release"}

// pure are packages without I/O; see also TestPurePackagesAskNoClock.
var pure = []string{"internal/plan", "internal/run", "internal/edge", "internal/audit", "internal/report"}

// doesIO are packages of the standard library that reach outside the process.
var doesIO = []string{"os", "net/rpc", "net/smtp", "net/http/httputil", "net/http/httptest", "net/http/cgi", "database/sql",
	"syscall", "log", "plugin", "embed", "crypto/rand", "crypto/tls", "io/ioutil"}

// shipped are files that can end up in a program: no tests, no test helpers.
func shipped(f *file) bool { return !f.test && !under(f.pkg, testHelpers...) }

func in(folders ...string) func(*file) bool {
	return func(f *file) bool { return shipped(f) && under(f.pkg, folders...) }
}

func outside(folders ...string) func(*file) bool {
	return func(f *file) bool { return shipped(f) && !under(f.pkg, folders...) }
}

// driverOf returns the folder of the driver that a package belongs to, or "".
func driverOf(pkg string) string {
	rest, ok := strings.CutPrefix(pkg, "internal/driver/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || name == "all" {
		return ""
	}
	return "internal/driver/" + name
}

func isDriver(f *file) bool { return shipped(f) && driverOf(f.pkg) != "" }

var arrows = []arrow{
	{"action and fault import the standard library alone",
		"they are the words that every other package is written in; what they import, everything imports",
		in("internal/action", "internal/fault"),
		func(_ *file, imp string) bool { return !standard(imp) && !under(imp, "internal/action") }},
	{"plan, run, edge, audit and report do no I/O",
		"a plan, a run's history and a routing decision can then be computed anywhere, tested by tables and trusted; time is an argument",
		in(pure...),
		// net/http is let through for its header type and constants; the use
		// of anything else of it is refused by TestPurePackagesUseOnlyHeaders.
		func(_ *file, imp string) bool {
			return imp == "net" || under(imp, doesIO...) ||
				ours(imp) && !under(imp, append([]string{"internal/action", "internal/fault", "internal/driver"}, pure...)...)
		}},
	{"a driver imports nothing above it",
		"a driver that knows who calls it cannot be tested, reused or understood by itself",
		func(f *file) bool {
			return shipped(f) && under(f.pkg, "internal/driver", "internal/kubeclient", "internal/awsclient", "internal/vendorhttp", "internal/mute", "internal/announce")
		},
		func(_ *file, imp string) bool { return under(imp, upper...) || under(imp, faces...) }},
	{"a driver imports no other driver",
		"drivers are added and taken out one at a time; what two of them share is a package of its own beside them",
		isDriver,
		func(f *file, imp string) bool { return driverOf(imp) != "" && driverOf(imp) != driverOf(f.pkg) }},
	{"only driver/all imports drivers",
		"everybody else reaches them by name through the registry, so that a new driver needs one line",
		func(f *file) bool { return shipped(f) && driverOf(f.pkg) == "" && f.pkg != "internal/driver/all" },
		func(_ *file, imp string) bool { return driverOf(imp) != "" }},
	{"only cmd/noren imports driver/all",
		"the registry is a value made in main and passed down; a package that fetches it itself cannot be given another",
		outside("cmd/noren"),
		func(_ *file, imp string) bool { return imp == "internal/driver/all" }},
	{"only control and commands see engine and store",
		"what a person can ask for is decided in one place; a face that reads the database goes past it",
		outside("internal/control", "internal/engine", "internal/store", "cmd"),
		func(_ *file, imp string) bool { return under(imp, "internal/engine", "internal/store") }},
	{"the store does not know the engine",
		"noren's tables must outlive the workflow library",
		in("internal/store"),
		func(_ *file, imp string) bool { return under(imp, "internal/engine") }},
	{"only engine imports the workflow library",
		"if it has to be replaced, one package is rewritten",
		func(f *file) bool { return !under(f.pkg, "internal/engine") },
		func(_ *file, imp string) bool { return strings.HasPrefix(imp, "github.com/dbos-inc/") }},
	{"only cli imports cobra",
		"flags and commands are the command line's own affair",
		func(f *file) bool { return !under(f.pkg, "internal/cli") },
		func(_ *file, imp string) bool { return strings.HasPrefix(imp, "github.com/spf13/") }},
	{"faces do not import each other",
		"what two faces share belongs to control",
		in(faces...),
		func(f *file, imp string) bool {
			return under(imp, faces...) && faceOf(imp) != faceOf(f.pkg)
		}},
	{"nothing below knows a face",
		"control answers the command line, a page and an API alike",
		func(f *file) bool { return shipped(f) && !under(f.pkg, faces...) && !under(f.pkg, "cmd") },
		func(_ *file, imp string) bool { return under(imp, faces...) }},
	{"Kubernetes types stay with the Kubernetes drivers",
		"no vendor's type stands in a signature outside its driver, or its next major version is everybody's work",
		outside("internal/kubeclient", "internal/driver/kube", "internal/driver/argocd", "internal/driver/flux", "internal/driver/gatewayapi"),
		func(_ *file, imp string) bool { return strings.HasPrefix(imp, "k8s.io/") }},
	{"AWS types stay with the AWS driver",
		"no vendor's type stands in a signature outside its driver, or its next major version is everybody's work",
		outside("internal/awsclient", "internal/driver/aws"),
		func(_ *file, imp string) bool { return strings.HasPrefix(imp, "github.com/aws/") }},
	{"SQL stays in store and engine",
		"the database is theirs; others ask control",
		outside("internal/store", "internal/engine", "internal/driver/mysql"),
		func(_ *file, imp string) bool {
			return under(imp, "database/sql") || strings.HasPrefix(imp, "modernc.org/sqlite") || strings.HasPrefix(imp, "github.com/jackc/")
		}},
	{"only test helpers import testing",
		"a program that links the testing package carries its flags and its weight",
		shipped,
		func(_ *file, imp string) bool { return under(imp, "testing", "net/http/httptest") }},
	{"programs do not import test helpers",
		"fake servers and contract suites are no part of noren",
		shipped,
		func(_ *file, imp string) bool { return under(imp, testHelpers...) }},
}

// testHelpers are the packages that exist for tests alone.
var testHelpers = []string{
	"test",
	"internal/action/actiontest",
	"internal/testkube",
	"internal/testaws",
	"internal/testmonitors",
	"internal/testchannels",
	"internal/published",
	"internal/driver/argocd/argotest",
}

func faceOf(pkg string) string {
	for _, f := range faces {
		if under(pkg, f) {
			return f
		}
	}
	return ""
}

// broken lists the imports of files that the rule refuses.
func (a arrow) broken(files []*file) []string {
	var bad []string
	for _, f := range files {
		if !a.from(f) {
			continue
		}
		for _, imp := range f.imports {
			if a.refuses(f, imp) {
				bad = append(bad, fmt.Sprintf("%s imports %s", f.path, imp))
			}
		}
	}
	return bad
}

func TestArrows(t *testing.T) {
	files := tree(t)
	for _, a := range arrows {
		t.Run(a.name, func(t *testing.T) {
			for _, b := range a.broken(files) {
				t.Errorf("%s\n  rule: %s\n  why:  %s", b, a.name, a.why)
			}
		})
	}
}

// TestArrowsRefuse shows that each rule refuses what it is there to refuse.
func TestArrowsRefuse(t *testing.T) {
	wrong := map[string][2]string{ // rule: file, import
		"action and fault import the standard library alone": {"internal/fault/x.go", "golang.org/x/text/width"},
		"plan, run, edge, audit and report do no I/O":        {"internal/run/x.go", "os/exec"},
		"a driver imports nothing above it":                  {"internal/driver/kube/x.go", module + "/internal/plan"},
		"a driver imports no other driver":                   {"internal/driver/kube/lbc/x.go", module + "/internal/driver/argocd"},
		"only driver/all imports drivers":                    {"internal/cli/x.go", module + "/internal/driver/kube"},
		"only cmd/noren imports driver/all":                  {"internal/cli/x.go", module + "/internal/driver/all"},
		"only control and commands see engine and store":     {"internal/cli/live/x.go", module + "/internal/store"},
		"the store does not know the engine":                 {"internal/store/x.go", module + "/internal/engine"},
		"only engine imports the workflow library":           {"internal/store/x_test.go", "github.com/dbos-inc/dbos-transact-golang/dbos"},
		"only cli imports cobra":                             {"cmd/noren/x.go", "github.com/spf13/cobra"},
		"faces do not import each other":                     {"internal/web/x.go", module + "/internal/cli/view"},
		"nothing below knows a face":                         {"internal/control/x.go", module + "/internal/cli"},
		"Kubernetes types stay with the Kubernetes drivers":  {"internal/control/x.go", "k8s.io/api/core/v1"},
		"AWS types stay with the AWS driver":                 {"internal/control/x.go", "github.com/aws/aws-sdk-go-v2/aws"},
		"SQL stays in store and engine":                      {"internal/control/x.go", "database/sql"},
		"only test helpers import testing":                   {"internal/page/x.go", "testing"},
		"programs do not import test helpers":                {"internal/cli/x.go", module + "/test/albsim"},
	}
	for _, a := range arrows {
		w, ok := wrong[a.name]
		if !ok {
			t.Errorf("%s: no example of what it refuses", a.name)
			continue
		}
		f := parse(t, token.NewFileSet(), w[0], fmt.Sprintf("package x\n\nimport _ %q\n", w[1]))
		if len(a.broken([]*file{f})) == 0 {
			t.Errorf("%s: %s may import %s", a.name, w[0], w[1])
		}
	}
}
