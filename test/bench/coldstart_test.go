package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestColdStart measures how long it takes until a command that asks nobody has
// answered.
func TestColdStart(t *testing.T) {
	binary, dir := buildNoren(t), t.TempDir()
	env := []string{"NOREN_STATE_DIR=" + dir + "/state", "HOME=" + dir}
	type tool struct {
		name string
		args []string
	}
	tools, times := []tool{{"noren version", []string{binary, "version"}}, {"noren status", []string{binary, "status"}}}, 3
	if *kubectl != "" {
		tools, times = append(tools, tool{"kubectl version --client", []string{*kubectl, "version", "--client"}}), 40
	}
	wall, cpu, peak := map[string][]time.Duration{}, map[string][]time.Duration{}, map[string]int64{}
	for range times {
		for _, c := range tools {
			cost := command(t, dir, env, c.args[0], c.args[1:]...)
			wall[c.name], cpu[c.name] = append(wall[c.name], cost.wall), append(cpu[c.name], cost.cpu)
			peak[c.name] = max(peak[c.name], cost.peak)
		}
	}
	var b strings.Builder
	b.WriteString("| command | median, ms | of it processor, ms | peak memory, MiB |\n|---|---|---|---|\n")
	for _, c := range tools {
		fmt.Fprintf(&b, "| `%s` | %.0f | %.0f | %s |\n", c.name, middle(wall[c.name]).Seconds()*1000, middle(cpu[c.name]).Seconds()*1000, mebibytes(peak[c.name]))
	}
	publish(t, "start", fmt.Sprintf("%d times each, in turn, files in the page cache", times), b.String())
}
