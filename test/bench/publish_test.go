package bench

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	document = flag.String("document", "", "docs/benchmarks.md, whose tables are written anew; without, they are printed only")
	madeBy   = flag.String("made-by", "", "how the tables are made, as it stands above them")
)

// publish prints a table and writes it between its markers in the document,
// with the machine, the day and the command.
func publish(t testing.TB, name, what, table string) {
	t.Helper()
	if *compare == "" {
		return
	}
	text := fmt.Sprintf("%s. %s, %d cores, %s, %s; `%s`.\n\n%s", what, machine(), runtime.NumCPU(), runtime.Version(),
		time.Now().UTC().Format(time.DateOnly), *madeBy, table)
	fmt.Println("\n" + text)
	if *document == "" {
		return
	}
	raw, err := os.ReadFile(*document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), "<!-- "+name+": made by `make bench-compare` -->\n")
	_, after, ends := strings.Cut(rest, "<!-- /"+name+" -->")
	if !found || !ends {
		t.Fatalf("%s has no place for the table %s", *document, name)
	}
	whole := before + "<!-- " + name + ": made by `make bench-compare` -->\n" + text + "\n<!-- /" + name + " -->" + after
	if err := os.WriteFile(*document, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
}

// machine is the model of the processor and the kernel, as far as known.
func machine() string {
	model := runtime.GOARCH
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if key, value, _ := strings.Cut(s.Text(), ":"); strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := exec.Command("uname", "-sr").Output() // said where it is known
	return strings.TrimSpace(model + ", " + strings.TrimSpace(string(kernel)))
}

func middle(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
