package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
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
	wall    time.Duration
	peak    int64         // bytes of memory, 0 if it is the test's own process
	cpu     time.Duration // user and system
	changes time.Duration // of wall, if known
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
	table.WriteString("| Ingresses + Applications | way | close, s | of it the changes, s | beside client-go | open, s | peak memory, MiB |\n|---|---|---|---|---|---|---|\n")
	for _, n := range sizes {
		w := newWorld(t, n)
		all := make([]measured, len(ways))
		for range *rounds { // in turn, so that a busy moment of the machine is everybody's
			for i, way := range ways {
				if way.limit == 0 || n <= way.limit {
					all[i].add(t, way, w)
				}
			}
		}
		bare := middle(all[1].changing)
		for i, way := range ways {
			if m := all[i]; len(m.closing) > 0 {
				fmt.Fprintf(&table, "| %d + %d | %s | %s | %s | %.1f× | %s | %s |\n", n, n, way.name, seconds(middle(m.closing)), seconds(middle(m.changing)),
					middle(m.changing).Seconds()/bare.Seconds(), seconds(middle(m.opening)), mebibytes(m.peak))
			}
		}
	}
	publish(t, "scale", fmt.Sprintf("Medians of %d rounds, in which the ways come in turn; one real API server on the same machine", *rounds), table.String())
}

// measured is what the rounds of one way took.
type measured struct {
	closing, changing, opening []time.Duration
	peak                       int64
}

func (m *measured) add(t testing.TB, way way, w *world) {
	c := way.close(t, w)
	if pages, paused := w.closed(t); pages != w.n || paused != w.n {
		t.Fatalf("%s closed %d and paused %d of %d", way.name, pages, paused, w.n)
	}
	o := way.open(t, w)
	if pages, paused := w.closed(t); pages != 0 || paused != 0 {
		t.Fatalf("%s left %d closed and %d paused", way.name, pages, paused)
	}
	m.closing, m.opening = append(m.closing, c.wall), append(m.opening, o.wall)
	m.changing, m.peak = append(m.changing, cmp.Or(c.changes, c.wall)), max(m.peak, c.peak, o.peak)
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
			c, out := output(t, w.dir, []string{"NOREN_STATE_DIR=" + state}, binary, verb, "--env", "prod", "--yes", "-o", "json")
			c.changes = changing(out)
			return c
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

// changing is how long the stages took that write, from noren's own events.
func changing(events string) time.Duration {
	var sum time.Duration
	var began time.Time
	var e run.Event
	for line := range strings.Lines(events) {
		var shown struct{ Event run.Event }
		err := json.Unmarshal([]byte(line), &shown)
		if e = shown.Event; err != nil || e.Type != run.StageStarted && e.Type != run.RunEnded {
			continue
		}
		if !began.IsZero() {
			sum += e.At.Sub(began)
		}
		began = time.Time{}
		switch e.Data.Stage {
		case plan.StagePause, plan.StageClose, plan.StageOpen, plan.StageResume:
			began = e.At
		}
	}
	return sum
}

// command runs a command to its end.
func command(t testing.TB, dir string, env []string, name string, args ...string) cost {
	t.Helper()
	c, _ := output(t, dir, env, name, args...)
	return c
}

func output(t testing.TB, dir string, env []string, name string, args ...string) (cost, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(out.String()+said.String()))
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{wall: wall, peak: usage.Maxrss << 10 /* in KiB: getrusage(2) */, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, out.String()
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
			c := command(t, dir, []string{"HOME=" + w.dir}, "sh", "-c", each+" '"+one+"' <names")
			return cost{wall: c.wall}
		}
	}
	return way{name: name, limit: *script, close: patch("close"), open: patch("open")}
}
