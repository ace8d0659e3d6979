package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/test/albapi"
	"github.com/noren-dev/noren/test/ecsshop"
)

// TestAWSBuckets measures how long closing and opening the shop take where AWS's
// token buckets are enforced, beside what they allow: load balancers, autoscaling
// and services, one after the other, each as fast as its fullest bucket lets the
// requests through. A run that fails fails the test.
func TestAWSBuckets(t *testing.T) {
	testaws.Isolate(t)
	s := ecsshop.Start(t, 1001) // as far back as in the world on moto
	dir := t.TempDir()
	// As AWS itself, and not as an emulator, at which noren would not pace itself.
	put(t, filepath.Join(dir, "noren.yaml"), s.Layout.Catalog(t, fmt.Sprintf("{region: %s, account: %q}", albapi.Region, albapi.Account), s.Ports))
	before := s.Drawing()
	binary, env := buildNoren(t), []string{"NOREN_STATE_DIR=" + t.TempDir(), "AWS_ENDPOINT_URL=" + s.Endpoint}
	var b strings.Builder
	b.WriteString("| way | | took, s | allowed, s | ratio | requests | refused | failed |\n|---|---|---|---|---|---|---|---|\n")
	row := func(name, verb string, took time.Duration, failed string) {
		done, refused, allowed := 0, 0, map[string]float64{}
		for _, taken := range s.Taken() {
			t.Logf("%s %s: %+v, %.1f s", name, verb, taken, taken.Seconds())
			done, refused = done+taken.Done, refused+taken.Refused
			allowed[taken.Service] = max(allowed[taken.Service], taken.Seconds())
		}
		best := 0.0
		for _, seconds := range allowed {
			best += seconds
		}
		ratio := "–"
		if best > 0 {
			ratio = fmt.Sprintf("%.2f", took.Seconds()/best)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %s | %d | %d | %s |\n", name, verb, seconds(took), best, ratio, done, refused, failed)
	}
	for _, verb := range []string{"close", "open"} {
		s.Limit(ecsshop.Buckets())
		row("noren", verb, command(t, dir, env, binary, verb, "--env", "prod", "--yes", "--confirm", "prod").wall, "no")
	}
	if now := s.Drawing(); now != before {
		t.Fatalf("it is not as it was:\n%s\nwas\n%s", now, before)
	}
	publish(t, "buckets", fmt.Sprintf("%d ECS services, %d endpoints on %d load balancers, an address of the staff let through (three rules for each endpoint); %s", len(s.Services), len(s.Endpoints), len(s.Balancers()), bucketWords()), b.String())
}

func bucketWords() string {
	var words []string
	for _, b := range ecsshop.Buckets() {
		kind := "reads"
		if b.Writes {
			kind = "writes"
		}
		words = append(words, fmt.Sprintf("%s %s %d at once and %.0f a second", b.Service, kind, b.Burst, float64(b.Rate)))
	}
	return strings.Join(words, ", ")
}
