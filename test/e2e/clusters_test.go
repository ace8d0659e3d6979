package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/noren-dev/noren/internal/testkube"
)

// inClusters are shops in two clusters, each a real API server of its own, and
// one service with doors in both. Workloads of it are in osaka.
func inClusters(t *testing.T) map[string]*shop {
	tokyo := newShop(t)
	osaka := newShop(t, func(o *shopOptions) { o.server, o.working = testkube.Start(t, testkube.Dedicated()), true })
	clusters := map[string]*shop{"tokyo": tokyo, "osaka": osaka}
	var resolve, sections, entrances, health strings.Builder
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		s := clusters[name]
		for host, addr := range s.addr {
			fmt.Fprintf(&resolve, "        \"%s:80\": %s\n", host, addr)
		}
		fmt.Fprintf(&sections, "      %s:\n        kube: {kubeconfig: %s, context: %s}\n        argocd: {namespace: %s}\n", name, s.kubeconfig, s.context, s.ns)
		for _, ingress := range []string{"web", "solo"} {
			fmt.Fprintf(&entrances, "      - {kind: kube/ingress, name: %s/%s, cluster: %s}\n", s.ns, ingress, name)
		}
		fmt.Fprintf(&health, "      - http://shop.%[1]s.example.com/healthz\n      - http://solo.%[1]s.example.com/healthz\n", s.ns)
	}
	tokyo.write(t, "noren.yaml", fmt.Sprintf("version: 1\nzone: Asia/Tokyo\nenvironments:\n  prod:\n    http:\n      resolve:\n%s    clusters:\n%sservices:\n  shop:\n    entrances:\n%s    health:\n%s    workloads: [{kind: kube/deployment, name: %s/worker, cluster: osaka}]\n",
		&resolve, &sections, &entrances, &health, osaka.ns))
	return clusters
}

// TestSeveralClusters: one run closes the doors of a service in two clusters,
// and opens them again.
func TestSeveralClusters(t *testing.T) {
	t.Parallel()
	clusters := inClusters(t)
	tokyo, osaka := clusters["tokyo"], clusters["osaka"]
	before := map[string]map[string]string{"tokyo": tokyo.objects(t), "osaka": osaka.objects(t)}
	answers := func(want int) {
		t.Helper()
		for name, s := range clusters {
			for _, host := range []string{"shop", "solo"} {
				if code, _ := s.get(t, host, "/"); code != want {
					t.Errorf("%s in %s answers %d, want %d", host, name, code, want)
				}
			}
		}
	}

	state := t.TempDir()
	tokyo.noren(t, state, "check", "--live").must(t, 0)
	closing := tokyo.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m").must(t, 0)
	for name, s := range clusters {
		closing.says(t, fmt.Sprintf("kube:prod/%s/%s/ingress/web", name, s.ns))
		closing.says(t, fmt.Sprintf("argocd:prod/%s/%s/application/solo", name, s.ns))
		if s.on(t, "solo") {
			t.Errorf("automated sync is on in %s", name)
		}
	}
	answers(503)
	if n := osaka.ready(t, deployments, "worker"); n != 0 {
		t.Errorf("%d replicas work in osaka", n)
	}
	tokyo.noren(t, state, "extend", "--env", "prod", "--for", "2h").must(t, 0)
	tokyo.noren(t, state, "open").must(t, 0)
	answers(200)
	for name, s := range clusters {
		s.same(t, before[name])
	}
	tokyo.rewrite(t, "cluster: osaka", "cluster: kyoto")
	tokyo.noren(t, state, "check").must(t, 2).says(t, "has no cluster")
}

// TestClustersAndRecordsLost: with noren's records gone, the marks in each
// cluster tell the way back.
func TestClustersAndRecordsLost(t *testing.T) {
	t.Parallel()
	clusters := inClusters(t)
	before := map[string]map[string]string{}
	for name, s := range clusters {
		before[name] = s.objects(t)
	}
	tokyo, lost := clusters["tokyo"], t.TempDir()
	tokyo.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--for", "30m").must(t, 0)
	left := tokyo.noren(t, lost, "leftovers").must(t, 10)
	for name, s := range clusters {
		left.says(t, fmt.Sprintf("kube:prod/%s/%s/ingress/", name, s.ns), fmt.Sprintf("argocd:prod/%s/%s/application/solo", name, s.ns))
	}
	left.says(t, fmt.Sprintf("kube:prod/osaka/%s/deployment/worker", clusters["osaka"].ns))
	tokyo.noren(t, lost, "recover", "--env", "prod").must(t, 0)
	for name, s := range clusters {
		s.same(t, before[name])
		if code, _ := s.get(t, "shop", "/"); code != 200 {
			t.Errorf("shop in %s answers %d", name, code)
		}
	}
	after := tokyo.noren(t, lost, "leftovers") // which has other tests' marks, too
	for name, s := range clusters {
		if strings.Contains(after.out, s.ns) {
			t.Errorf("something is left in %s:\n%s", name, after.out)
		}
	}
}

// TestInitOfClusters: contexts that --env gives one name are its clusters, and
// what init writes closes in both.
func TestInitOfClusters(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.server = testkube.Start(t, testkube.Dedicated()) })
	config, err := clientcmd.LoadFromFile(s.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prod-tokyo", "prod-osaka"} { // two ways to one server
		config.Contexts[name] = config.Contexts[testkube.Admin]
	}
	if err := clientcmd.WriteToFile(*config, s.dir+"/kubeconfig"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.dir + "/noren.yaml"); err != nil {
		t.Fatal(err)
	}
	args := []string{"init", "--kubeconfig", "kubeconfig", "--context", "prod-tokyo", "--context", "prod-osaka"}
	s.noren(t, t.TempDir(), args...).must(t, 2).says(t, "clusters of one environment")
	s.noren(t, t.TempDir(), append(args, "--env", "prod", "--env", "prod")...).must(t, 0)
	text := s.text(t, "noren.yaml")
	for _, want := range []string{"      prod-tokyo:\n        argocd: {}\n        kube: {", "        cluster: prod-osaka\n", "name: " + s.ns + "/solo\n        cluster: prod-tokyo\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("noren.yaml lacks %q:\n%s", want, text)
		}
	}
	plan := s.noren(t, t.TempDir(), "plan", "close", "other", "--env", "prod").must(t, 0)
	for _, name := range []string{"tokyo", "osaka"} {
		if want := "kube:prod/prod-" + name + "/" + s.ns + "/ingress/other"; !strings.Contains(plan.out, want) {
			t.Errorf("the plan lacks %s:\n%s", want, plan.out)
		}
	}
}

// TestOneClusterUnderTwoNames: a cluster that says nothing of how it is reached
// is the one that is current, perhaps another of the environment. To close that
// twice would leave a door open that is thought closed.
func TestOneClusterUnderTwoNames(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.write(t, "noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    clusters:
      tokyo:
        kube: {kubeconfig: %[1]s, context: %[2]s}
      osaka:
        kube: {kubeconfig: %[1]s} # the context that is current, which is tokyo's
services:
  shop:
    entrances:
      - {kind: kube/ingress, name: %[3]s/web, cluster: tokyo}
      - {kind: kube/ingress, name: %[3]s/web, cluster: osaka}
`, s.kubeconfig, s.context, s.ns))
	for _, command := range [][]string{{"check"}, {"plan", "close", "--env", "prod"}, {"rehearse", "--env", "prod", "--copy"}, {"close", "--env", "prod", "--for", "30m", "--yes"}} {
		s.noren(t, t.TempDir(), command...).must(t, 2).says(t, "two clusters are one", "noren.yaml:8:7", "tokyo and osaka of prod are both reached by "+s.kubeconfig+" "+s.context)
	}
	s.rewrite(t, "kube: {kubeconfig: "+s.kubeconfig+"} #", "kube: {kubeconfig: "+s.kubeconfig+", context: limited} #")
	s.noren(t, t.TempDir(), "check").must(t, 0)
}

// TestStatusDocumentOfClusters: of a ConfigMap it must be said in which cluster it
// is, and a section in a cluster is one that nobody would read.
func TestStatusDocumentOfClusters(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const document = "appstatus: {%s services: {shop: {name: {en: Shop}}}}"
	catalog := func(beside, within string) {
		s.write(t, "noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    %[4]s
    clusters:
      osaka:
        kube: {kubeconfig: %[1]s, context: limited}
        %[5]s
      tokyo:
        kube: {kubeconfig: %[1]s, context: %[2]s}
services:
  shop:
    entrances: [{kind: kube/ingress, name: %[3]s/web, cluster: tokyo}]
`, s.kubeconfig, s.context, s.ns, beside, within))
	}
	catalog(fmt.Sprintf(document, "configmap: "+s.ns+"/status,"), "")
	for _, command := range [][]string{{"check"}, {"plan", "close", "--env", "prod"}, {"appstatus", "publish"}} {
		s.noren(t, t.TempDir(), command...).must(t, 2).says(t, "cluster is not said", "noren.yaml:5:", "several clusters (osaka, tokyo)", "appstatus: {context: …}")
	}
	catalog("", fmt.Sprintf(document, "file: status.json,"))
	for _, command := range [][]string{{"check"}, {"plan", "close", "--env", "prod"}} {
		s.noren(t, t.TempDir(), command...).must(t, 2).says(t, "section is in a cluster", "noren.yaml:9:", "tells its apps once")
	}
	catalog(fmt.Sprintf(document, "configmap: "+s.ns+"/status, kubeconfig: "+s.kubeconfig+", context: "+s.context+","), "")
	s.noren(t, t.TempDir(), "check").must(t, 0)
	s.noren(t, t.TempDir(), "appstatus", "publish").must(t, 0).says(t, "publish names")
}

// TestClosedBeforeItHadClusters: a closing is opened as it was made, also with a
// catalog that puts its cluster under clusters since. Its marks are explained by
// its run; without records they are told of as what they are, not as copies whose
// annotation is to be taken off.
func TestClosedBeforeItHadClusters(t *testing.T) {
	t.Parallel()
	s, state, lost := newShop(t), t.TempDir(), t.TempDir()
	before := s.objects(t)
	s.noren(t, state, "close", "shop", "solo", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	then := s.text(t, "noren.yaml")
	kube := "    kube: {kubeconfig: " + s.kubeconfig
	s.rewrite(t, kube, "    clusters:\n      tokyo:\n    "+kube)
	for _, name := range []string{"web", "api", "solo"} {
		s.rewrite(t, "name: "+s.ns+"/"+name+"}", "name: "+s.ns+"/"+name+", cluster: tokyo}")
	}
	s.noren(t, state, "check").must(t, 0)
	if left := s.noren(t, state, "leftovers"); strings.Contains(left.out, "/"+s.ns+"/") { // it has other tests' marks, too
		t.Errorf("what its run holds is left over:\n%s", left.out)
	}
	left := s.noren(t, lost, "leftovers").says(t, "called this place kube:prod/"+s.ns+"/ingress/solo", "called this place argocd:prod/"+s.ns+"/application/solo")
	for line := range strings.Lines(left.out) {
		if strings.Contains(line, s.ns) && strings.Contains(line, "annotation") {
			t.Errorf("it says to take the mark off: %s", line)
		}
	}
	s.noren(t, lost, "recover", "--env", "prod", "--confirm", "prod")
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("recovered under another name: solo answers %d", code)
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)

	// And without its records, by a catalog like that of then.
	s.write(t, "noren.yaml", then)
	s.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	s.noren(t, lost, "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}
