package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/wire"
	"github.com/noren-dev/noren/internal/testmonitors"
	"github.com/noren-dev/noren/test/ecsshop"
)

// An awsWorld is the shop of examples/ecs-shop on moto, with monitors at a vendor,
// and a front door that answers as moto's rules say.
type awsWorld struct {
	ecsshop.Layout

	monitors []string // the scope of each
	endpoint string   // of AWS
	vendor   *httptest.Server
	dir      string // with noren.yaml
	file     string // what the scripts read and write
}

// newAWSWorld builds so many endpoints of the shop with their services, all of them
// if there are as many, and monitors.
func newAWSWorld(t testing.TB, endpoints, monitors int) *awsWorld {
	t.Helper()
	w := &awsWorld{Layout: ecsshop.Read(t, ecsshop.Example()), dir: t.TempDir()}
	w.endpoint = withScalingTags(t, testaws.Start(t).Endpoint)
	w.vendor = httptest.NewServer(testmonitors.Datadog())
	t.Cleanup(w.vendor.Close)
	if endpoints < len(w.Endpoints) {
		w.Endpoints, w.Services = w.Endpoints[:endpoints], nil
		for _, e := range w.Endpoints {
			w.Services = append(w.Services, e.Task)
		}
	}
	for i := range monitors {
		w.monitors = append(w.monitors, fmt.Sprintf("part:%02d", i))
	}
	w.file = filepath.Join(w.dir, "world.json")
	w.put(t, w.file, w.known(t))
	w.shop(t, "build")
	w.writeCatalog(t)
	return w
}

func (w *awsWorld) put(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// known is what the scripts are told.
func (w *awsWorld) known(t testing.TB) string {
	t.Helper()
	type object = map[string]any
	endpoints, services, monitors := []object{}, []object{}, []object{}
	for i, e := range w.Endpoints {
		endpoints = append(endpoints, object{"service": e.Service, "balancer": e.Balancer, "host": e.Host, "path": e.Path, "health": e.Health, "priority": i + 1})
	}
	for _, name := range w.Services {
		cluster, service, _ := strings.Cut(name, "/")
		services = append(services, object{"cluster": cluster, "name": service, "desired": w.Desired(name)})
	}
	for _, scope := range w.monitors {
		monitors = append(monitors, object{"downtime": object{"data": object{"type": "downtime", "attributes": object{
			"message": "planned work", "scope": scope, "monitor_identifier": object{"monitor_tags": []string{"service:shop"}}}}}})
	}
	raw, err := json.Marshal(object{"region": testaws.Region, "endpoint": w.endpoint, "vendor": w.vendor.URL, "key": testmonitors.Key,
		"endpoints": endpoints, "services": services, "monitors": monitors})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// shop runs shop.py with the Python that moto has, and returns what it prints.
func (w *awsWorld) shop(t testing.TB, verb string) (cost, string) {
	t.Helper()
	moto, err := exec.LookPath("moto_server")
	if err != nil {
		t.Fatal(err)
	}
	return output(t, ".", nil, filepath.Join(filepath.Dir(moto), "python3"), "aws/shop.py", verb, w.file)
}

// closed counts the endpoints whose page is up, the services that rest, and the
// monitors that are muted.
func (w *awsWorld) closed(t testing.TB) (pages, resting, muted int) {
	t.Helper()
	_, out := w.shop(t, "look")
	if _, err := fmt.Sscan(out, &pages, &resting, &muted); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return pages, resting, muted
}

// writeCatalog writes noren.yaml. noren asks moto through a wire that knows when
// something was written, and customers through a front door that then looks anew.
func (w *awsWorld) writeCatalog(t testing.TB) {
	t.Helper()
	through := wire.New(t, w.endpoint)
	door := newMotoDoor(t, w.endpoint, func() int { return through.Writes(t) })
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nzone: UTC\nenvironments:\n  prod:\n    aws: {region: %s, endpoint: %q}\n    datadog: {url: %q}\n    http:\n      resolve:\n", testaws.Region, through.Endpoint, w.vendor.URL)
	hosts := map[string]bool{}
	for _, e := range w.Endpoints {
		if !hosts[e.Host] {
			fmt.Fprintf(&b, "        \"%s:80\": %s\n", e.Host, door)
		}
		hosts[e.Host] = true
	}
	b.WriteString("services:\n")
	services, monitors := w.Services, w.monitors
	for i, e := range w.Endpoints {
		fmt.Fprintf(&b, "  %s:\n    entrances: [{kind: aws/alb, name: %s, hosts: [%s]", e.Service, e.Balancer, e.Host)
		if e.Path != "" {
			fmt.Fprintf(&b, ", paths: [%q]", e.Path)
		}
		b.WriteString("}]\n    workloads:\n")
		left := len(w.Endpoints) - i // shared out evenly
		for _, name := range services[:(len(services)+left-1)/left] {
			fmt.Fprintf(&b, "      - {kind: aws/ecs, name: %s}\n", name)
		}
		services = services[(len(services)+left-1)/left:]
		mine := monitors[:(len(monitors)+left-1)/left]
		monitors = monitors[len(mine):]
		for j, scope := range mine {
			if j == 0 {
				b.WriteString("    monitors:\n")
			}
			fmt.Fprintf(&b, "      - {kind: datadog/downtime, name: %q, monitor_tags: [\"service:shop\"], scope: %q, on_ring: bench}\n", strings.ReplaceAll(scope, ":", "-"), scope)
		}
	}
	w.put(t, filepath.Join(w.dir, "noren.yaml"), b.String())
}

// A motoDoor answers for all load balancers as moto's rules say, which it reads
// again once something was written.
type motoDoor struct {
	client *elb.Client
	writes func() int

	mu    sync.Mutex
	as    int // of how many writes pages is
	pages []shut
}

type shut struct {
	host, path, body string
	status           int
}

func newMotoDoor(t testing.TB, endpoint string, writes func() int) string {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	d := &motoDoor{client: elb.NewFromConfig(cfg), writes: writes, as: -1}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func (d *motoDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.writes(); now != d.as {
		pages, err := d.read(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		d.pages, d.as = pages, now
	}
	host := strings.TrimSuffix(r.Host, ":80")
	for _, s := range d.pages {
		if s.host == host && strings.HasPrefix(r.URL.Path, s.path) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(s.status)
			fmt.Fprint(w, s.body)
			return
		}
	}
	fmt.Fprint(w, "open")
}

// read reads the pages of all rules.
func (d *motoDoor) read(ctx context.Context) ([]shut, error) {
	var all []shut
	balancers, err := d.client.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{})
	if err != nil {
		return nil, err
	}
	for _, b := range balancers.LoadBalancers {
		listeners, err := d.client.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn})
		if err != nil {
			return nil, err
		}
		rules, err := d.client.DescribeRules(ctx, &elb.DescribeRulesInput{ListenerArn: listeners.Listeners[0].ListenerArn, PageSize: aws.Int32(400)})
		if err != nil {
			return nil, err
		}
		for _, r := range rules.Rules {
			fixed := r.Actions[0].FixedResponseConfig
			if fixed == nil || aws.ToBool(r.IsDefault) {
				continue
			}
			s := shut{body: aws.ToString(fixed.MessageBody)}
			if s.status, err = strconv.Atoi(aws.ToString(fixed.StatusCode)); err != nil {
				return nil, err
			}
			for _, c := range r.Conditions {
				switch {
				case c.HostHeaderConfig != nil:
					s.host = c.HostHeaderConfig.Values[0]
				case c.PathPatternConfig != nil:
					s.path = strings.TrimSuffix(c.PathPatternConfig.Values[0], "*")
				}
			}
			all = append(all, s)
		}
	}
	return all, nil
}
