package testkube_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/noren-dev/noren/internal/testkube"
)

var (
	applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
	configMaps   = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// hang is set in the process that TestServerEndsWithItsTest starts and kills.
var hang = flag.Bool("testkube.hang", false, "make TestHang start a server, print its address and hang")

const applicationYAML = `
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop, namespace: %s}
spec:
  project: default
  source: {repoURL: https://git.example/shop.git, path: deploy}
  destination: {name: in-cluster, namespace: shop}
  syncPolicy: {automated: {enabled: true, prune: true}}
`

func TestServerStarts(t *testing.T) {
	server := testkube.Start(t)
	client, err := discovery.NewDiscoveryClientForConfig(server.Config(testkube.Admin))
	if err != nil {
		t.Fatal(err)
	}
	version, err := client.ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.Major != "1" || !strings.HasPrefix(version.GitVersion, "v1."+version.Minor+".") {
		t.Errorf("the server reports version %+v, want that of a Kubernetes release", version)
	}
	if again := testkube.Start(t); again != server {
		t.Error("a second Start returned another server, want the shared one")
	}
}

func TestCRDRefusesWrongApplication(t *testing.T) {
	server := testkube.Start(t)
	server.InstallCRDs(t, testkube.ArgoCDCurrent)
	wrong := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1",
		"kind":       "Application",
		"metadata":   map[string]any{"name": "wrong"},
		"spec":       map[string]any{"destination": map[string]any{}},
	}}
	namespace := server.Namespace(t)
	_, err := client(t, server, testkube.Admin).Resource(applications).Namespace(namespace).
		Create(t.Context(), wrong, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.project: Required value") {
		t.Errorf("creating an Application without a project: got error %v, want spec.project to be required", err)
	}
}

func TestAutomatedEnabledSurvivesOnlyInNewCRD(t *testing.T) {
	for _, test := range []struct {
		set  string
		opts []testkube.Option
		want map[string]any
	}{
		{testkube.ArgoCDCurrent, nil, map[string]any{"enabled": true, "prune": true}},
		{testkube.ArgoCDOld, []testkube.Option{testkube.Dedicated()}, map[string]any{"prune": true}},
	} {
		t.Run(test.set, func(t *testing.T) {
			server := testkube.Start(t, test.opts...)
			server.InstallCRDs(t, test.set)
			namespace := server.Namespace(t)
			server.Apply(t, fmt.Sprintf(applicationYAML, namespace))

			got, err := client(t, server, testkube.Admin).Resource(applications).Namespace(namespace).
				Get(t.Context(), "shop", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			automated, _, err := unstructured.NestedMap(got.Object, "spec", "syncPolicy", "automated")
			if err != nil || !maps.Equal(automated, test.want) {
				t.Errorf("read back automated %v (error %v), want %v", automated, err, test.want)
			}
		})
	}
}

func TestLimitedMayDoOnlyWhatIsGranted(t *testing.T) {
	server := testkube.Start(t)
	namespace := server.Namespace(t)
	list := func() error {
		_, err := client(t, server, testkube.Limited).Resource(configMaps).Namespace(namespace).
			List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list(); !apierrors.IsForbidden(err) {
		t.Fatalf("listing without rights: got error %v, want Forbidden", err)
	}
	server.Apply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: list, namespace: %[1]s}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: list, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: list}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
`, namespace))
	granted := func(context.Context) (bool, error) {
		err := list()
		return err == nil, ignoreForbidden(err)
	}
	// The server learns of a new role binding a moment after it is stored.
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, granted); err != nil {
		t.Errorf("listing with the right to: %v", err)
	}
}

func TestSnapshotShowsOnlyChangesOfContent(t *testing.T) {
	server := testkube.Start(t)
	namespace := server.Namespace(t)
	configMap := `
apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: ` + namespace + `}
data: {key: %s}
`
	server.Apply(t, fmt.Sprintf(configMap, "one", "a")+"---"+fmt.Sprintf(configMap, "two", "a"))
	before := server.SnapshotNamespace(t, namespace, configMaps)
	wantKeys := []string{"v1/configmaps/" + namespace + "/one", "v1/configmaps/" + namespace + "/two"}
	if keys := slices.Sorted(maps.Keys(before)); !slices.Equal(keys, wantKeys) {
		t.Errorf("the snapshot has the keys %q, want %q", keys, wantKeys)
	}

	server.Apply(t, fmt.Sprintf(configMap, "one", "b"))
	if after := server.SnapshotNamespace(t, namespace, configMaps); maps.Equal(before, after) {
		t.Error("the snapshot did not change with the content of a ConfigMap")
	}
	server.Apply(t, fmt.Sprintf(configMap, "one", "a"))
	if after := server.SnapshotNamespace(t, namespace, configMaps); !maps.Equal(before, after) {
		t.Errorf("same content, other snapshot:\nbefore %v\nafter %v", before, after)
	}
	if all := server.Snapshot(t, configMaps); all[wantKeys[0]] != before[wantKeys[0]] {
		t.Errorf("the snapshot of the cluster has %q for a ConfigMap, that of its namespace %q", all[wantKeys[0]], before[wantKeys[0]])
	}
}

func TestServerEndsWithItsTest(t *testing.T) {
	victim := exec.Command(os.Args[0], "-test.run=^TestHang$", "-testkube.hang")
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Process.Kill()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(line)
	if !answers(address) {
		t.Fatalf("no server answers at %q while its test runs", address)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // It was killed, and says so.

	gone := func(context.Context) (bool, error) { return !answers(address), nil }
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, gone); err != nil {
		t.Errorf("the server at %s outlived its test: %v", address, err)
	}
}

// TestHang is no test of its own: it is the victim of TestServerEndsWithItsTest.
func TestHang(t *testing.T) {
	if !*hang {
		return
	}
	host, err := url.Parse(testkube.Start(t).Config(testkube.Admin).Host)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(host.Host)
	select {}
}

// answers says whether something listens at a TCP address.
func answers(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

func client(t *testing.T, server *testkube.Server, context string) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(server.Config(context))
	if err != nil {
		t.Fatal(err)
	}
	return client
}
