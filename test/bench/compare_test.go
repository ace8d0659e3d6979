package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var (
	compare = flag.String("compare", "", "sizes to compare at, such as 10,100,300; without, three objects are closed and opened, to see that the comparison works")
	rounds  = flag.Int("rounds", 3, "how often each way is measured")
	kubectl = flag.String("kubectl", "", "the kubectl of the scripts")
	script  = flag.Int("script-limit", 300, "the largest size at which the scripts are measured, which take long")
)

// A way is one way to close all of a world, and to open it again.
type way struct {
	name        string
	close, open func(t testing.TB, w *world) cost
	limit       int // the largest size, 0 for any
}

// A cost is what a way took.
type cost struct {
	wall      time.Duration
	peak      int64 // bytes of memory, 0 if it is the test's own process
	user, sys time.Duration
	out       string
}

// TestCompare measures noren beside a shell loop, xargs and bare client-go.
func TestCompare(t *testing.T) {
	sizes := []int{3}
	ways := []way{norenWay(t), bareWay()}
	if *compare != "" {
		sizes = nil
		for text := range strings.SplitSeq(*compare, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, n)
		}
		if *kubectl == "" {
			t.Fatal("say where kubectl is: -kubectl FILE; make bench-compare builds it")
		}
		ways = append(ways, scriptWay("`xargs -P16 kubectl patch`", "xargs -P16 -n1 sh -c"), scriptWay("shell loop of `kubectl patch`", "xargs -P1 -n1 sh -c"))
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%s, %d cores, %s\n\n| Ingresses + Applications | way | close, s | open, s | peak memory, MiB |\n|---|---|---|---|---|\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	for _, n := range sizes {
		w := newWorld(t, n)
		for _, way := range ways {
			if way.limit > 0 && n > way.limit {
				continue
			}
			var closing, opening []time.Duration
			var peak int64
			for range *rounds {
				c := way.close(t, w)
				if pages, paused := w.closed(t); pages != n || paused != n {
					t.Fatalf("%s closed %d and paused %d of %d", way.name, pages, paused, n)
				}
				o := way.open(t, w)
				if pages, paused := w.closed(t); pages != 0 || paused != 0 {
					t.Fatalf("%s left %d closed and %d paused", way.name, pages, paused)
				}
				closing, opening, peak = append(closing, c.wall), append(opening, o.wall), max(peak, c.peak, o.peak)
			}
			fmt.Fprintf(&table, "| %d + %d | %s | %s | %s | %s |\n", n, n, way.name, median(closing), median(opening), mebibytes(peak))
		}
	}
	if *compare != "" {
		fmt.Println("\n" + table.String())
	}
}

func median(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("%.2f", all[len(all)/2].Seconds())
}

func mebibytes(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%d", n>>20)
}

// norenWay is noren as a user runs it: plan, receipts, pauses, pages, proofs.
func norenWay(t testing.TB) way {
	t.Helper()
	binary := buildNoren(t)
	state := t.TempDir()
	noren := func(verb string) func(testing.TB, *world) cost {
		return func(t testing.TB, w *world) cost {
			return run(t, w.dir, []string{"NOREN_STATE_DIR=" + state}, binary, verb, "--env", "prod", "--yes")
		}
	}
	return way{name: "noren, journaled, every page proved", close: noren("close"), open: noren("open")}
}

// buildNoren builds noren as it is released.
func buildNoren(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "noren")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "github.com/noren-dev/noren/cmd/noren")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// run runs a command to its end.
func run(t testing.TB, dir string, env []string, name string, args ...string) cost {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(out.String()))
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{wall, usage.Maxrss << 10, cmd.ProcessState.UserTime(), cmd.ProcessState.SystemTime(), out.String()} // in KiB: getrusage(2)
}

func tail(s string) string {
	if len(s) > 4000 {
		return "…" + s[len(s)-4000:]
	}
	return s
}

// The patches that the others send are what noren would: the page as an action,
// a rule at the head, automated sync off; and back.
func (w *world) patches(i int) (closeIngress, closeApp, openIngress, openApp string) {
	const action = "/metadata/annotations/alb.ingress.kubernetes.io~1actions.closed"
	page := fmt.Sprintf(`{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/html","statusCode":"503","messageBody":%q}}`, strings.Repeat("closed ", 130))
	rule := map[string]any{"host": w.host(i), "http": map[string]any{"paths": []any{map[string]any{"path": "/", "pathType": "Prefix",
		"backend": map[string]any{"service": map[string]any{"name": "closed", "port": map[string]any{"name": "use-annotation"}}}}}}}
	text := func(ops ...map[string]any) string {
		raw, _ := json.Marshal(ops)
		return string(raw)
	}
	op := func(op, path string, value any) map[string]any {
		m := map[string]any{"op": op, "path": path}
		if value != nil {
			m["value"] = value
		}
		return m
	}
	const enabled = "/spec/syncPolicy/automated/enabled"
	return text(op("add", action, page), op("add", "/spec/rules/0", rule)), text(op("add", enabled, false)),
		text(op("remove", "/spec/rules/0", nil), op("remove", action, nil)), text(op("remove", enabled, nil))
}

// bareWay is what is left without a journal, a check or a proof: requests side
// by side on one connection.
func bareWay() way {
	patch := func(open bool) func(testing.TB, *world) cost {
		return func(t testing.TB, w *world) cost {
			began := time.Now()
			w.each(t, func(ctx context.Context, i int) error {
				ing, app, ingBack, appBack := w.patches(i)
				if open {
					ing, app = ingBack, appBack
				}
				if _, err := w.dynamic.Resource(applications).Namespace(w.namespace).Patch(ctx, w.name(i), types.JSONPatchType, []byte(app), metav1.PatchOptions{}); err != nil {
					return err
				}
				_, err := w.typed.NetworkingV1().Ingresses(w.namespace).Patch(ctx, w.name(i), types.JSONPatchType, []byte(ing), metav1.PatchOptions{})
				return err
			})
			return cost{wall: time.Since(began)}
		}
	}
	return way{name: "bare client-go, 16 at a time, no journal, nothing checked", close: patch(false), open: patch(true)}
}

// scriptWay is a script of kubectl patch, the patches of which are files.
func scriptWay(name, each string) way {
	patch := func(verb string) func(testing.TB, *world) cost {
		return func(t testing.TB, w *world) cost {
			dir := t.TempDir()
			var names strings.Builder
			for i := range w.n {
				ing, app, ingBack, appBack := w.patches(i)
				if verb == "open" {
					ing, app = ingBack, appBack
				}
				for kind, text := range map[string]string{"ing": ing, "app": app} {
					if err := os.WriteFile(filepath.Join(dir, w.name(i)+"."+kind), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				names.WriteString(w.name(i) + "\n")
			}
			if err := os.WriteFile(filepath.Join(dir, "names"), []byte(names.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			one := fmt.Sprintf(`%[1]s --kubeconfig %[2]s --context admin -n %[3]s patch applications.argoproj.io $0 --type json --patch-file $0.app && %[1]s --kubeconfig %[2]s --context admin -n %[3]s patch ingress $0 --type json --patch-file $0.ing`,
				*kubectl, w.kubeconfig, w.namespace)
			c := run(t, dir, []string{"HOME=" + w.dir}, "sh", "-c", each+" '"+one+"' <names")
			return cost{wall: c.wall}
		}
	}
	return way{name: name, limit: *script, close: patch("close"), open: patch("open")}
}
