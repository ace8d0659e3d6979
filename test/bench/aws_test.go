package bench

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testmonitors"
)

var (
	awsTools  = flag.String("aws-tools", "", "the folder of the AWS CLI")
	terraform = flag.String("terraform", "", "terraform, with the AWS provider in -terraform-plugins")
	plugins   = flag.String("terraform-plugins", "", "the folder with terraform's providers")
)

// An awsWay is one way to close all of an awsWorld, and to open it again.
type awsWay struct {
	name        string
	prepare     func(t testing.TB, w *awsWorld)
	close, open func(t testing.TB, w *awsWorld) cost
}

// TestAWS measures noren beside the AWS CLI, boto3 and terraform, on one moto.
func TestAWS(t *testing.T) {
	endpoints, monitors, times := 2, 2, 1
	ways := []awsWay{norenOnAWS(t), boto3Way()}
	if *compare != "" {
		if *awsTools == "" {
			t.Fatal("say where the AWS CLI is: -aws-tools FOLDER; make bench-compare installs it")
		}
		endpoints, monitors, times = 30, 40, *rounds
		ways = append(ways, cliWay("`xargs -P16` of the AWS CLI", 16), cliWay("shell loop of the AWS CLI", 1))
		if _, err := os.Stat(*plugins); *terraform != "" && err == nil {
			ways = append(ways, terraformWay())
		}
	}
	w := newAWSWorld(t, endpoints, monitors)
	all := make([]measured, len(ways))
	for _, way := range ways {
		if way.prepare != nil {
			way.prepare(t, w)
		}
	}
	for range times {
		for i, way := range ways {
			c := way.close(t, w)
			if pages, resting, muted := w.closed(t); pages != len(w.Endpoints) || resting != len(w.Services) || muted != len(w.monitors) {
				t.Fatalf("%s closed %d, let %d rest and muted %d", way.name, pages, resting, muted)
			}
			o := way.open(t, w)
			if pages, resting, muted := w.closed(t); pages+resting+muted != 0 {
				t.Fatalf("%s left %d closed, %d at rest and %d muted", way.name, pages, resting, muted)
			}
			t.Logf("%s: %s and %s", way.name, seconds(c.wall), seconds(o.wall))
			all[i].closing, all[i].opening, all[i].peak = append(all[i].closing, c.wall), append(all[i].opening, o.wall), max(all[i].peak, c.peak, o.peak)
		}
	}
	var b strings.Builder
	b.WriteString("| way | close, s | beside noren | open, s | beside noren |\n|---|---|---|---|---|\n")
	for i, way := range ways {
		c, o := middle(all[i].closing), middle(all[i].opening)
		fmt.Fprintf(&b, "| %s | %s | %.2f× | %s | %.2f× |\n", way.name, seconds(c), c.Seconds()/middle(all[0].closing).Seconds(), seconds(o), o.Seconds()/middle(all[0].opening).Seconds())
	}
	publish(t, "aws", fmt.Sprintf("%d ECS services, %d endpoints on %d load balancers, %d monitors; medians of %d rounds, in which the ways come in turn, on one moto", len(w.Services), len(w.Endpoints), len(w.Balancers()), len(w.monitors), times), b.String())
}

// norenOnAWS is noren as a user runs it.
func norenOnAWS(t testing.TB) awsWay {
	t.Helper()
	binary, state := buildNoren(t), t.TempDir()
	noren := func(verb string) func(testing.TB, *awsWorld) cost {
		return func(t testing.TB, w *awsWorld) cost {
			return command(t, w.dir, []string{"NOREN_STATE_DIR=" + state, "DD_API_KEY=" + testmonitors.Key, "DD_APP_KEY=" + testmonitors.Key}, binary, verb, "--env", "prod", "--yes")
		}
	}
	return awsWay{name: "noren, journaled, every page proved", close: noren("close"), open: noren("open")}
}

func boto3Way() awsWay {
	shop := func(verb string) func(testing.TB, *awsWorld) cost {
		return func(t testing.TB, w *awsWorld) cost {
			c, _ := w.shop(t, verb)
			return c
		}
	}
	return awsWay{name: "boto3, 16 at a time, no journal, nothing checked", close: shop("close"), open: shop("open")}
}

// cliWay is a script of the AWS CLI, and of curl for the monitors.
func cliWay(name string, atOnce int) awsWay {
	run := func(verb string) func(testing.TB, *awsWorld) cost {
		return func(t testing.TB, w *awsWorld) cost {
			w.shop(t, "script-"+verb)
			return command(t, w.dir, []string{"PATH=" + *awsTools + ":/usr/bin:/bin", "AWS_ENDPOINT_URL=" + w.endpoint, "AWS_DEFAULT_REGION=" + testaws.Region, "AWS_DEFAULT_OUTPUT=text"},
				"sh", "-c", fmt.Sprintf(`for part in monitors endpoints services; do xargs -P%d -d '\n' -n1 sh -c <%s.$part || exit 1; done`, atOnce, filepath.Join(w.dir, verb)))
		}
	}
	return awsWay{name: name, close: run("close"), open: run("open")}
}

// terraformWay keeps the services and, while they are closed, a page for each
// endpoint in terraform's state; the monitors are muted by curl.
func terraformWay() awsWay {
	env := []string{"TF_IN_AUTOMATION=1", "TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1"}
	run := func(verb string, closed bool) func(testing.TB, *awsWorld) cost {
		return func(t testing.TB, w *awsWorld) cost {
			w.shop(t, "script-"+verb)
			return command(t, w.dir, env, "sh", "-c", fmt.Sprintf(`%s apply -input=false -auto-approve -parallelism=16 -var closed=%t >terraform.log && xargs -P16 -d '\n' -n1 sh -c <%s.monitors`, *terraform, closed, verb))
		}
	}
	return awsWay{name: "`terraform apply`, provider aws, `-parallelism=16`", close: run("close", true), open: run("open", false), prepare: func(t testing.TB, w *awsWorld) {
		w.shop(t, "terraform")
		command(t, w.dir, env, *terraform, "init", "-input=false", "-plugin-dir="+*plugins)
		command(t, w.dir, env, *terraform, "apply", "-input=false", "-auto-approve")
	}}
}
