package kubepage_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
	"github.com/noren-dev/noren/internal/testkube"
)

func connect(t *testing.T) (*kubeclient.Client, string) {
	t.Helper()
	server := testkube.Start(t)
	client, err := kubeclient.NewForConfig(server.Config(testkube.Admin), testkube.Admin)
	if err != nil {
		t.Fatal(err)
	}
	return client, server.Namespace(t)
}

// watched are the marks of the pages that a source tells of, as they change.
func watched(t *testing.T, client *kubeclient.Client, namespace string) <-chan string {
	t.Helper()
	told := make(chan string, 100)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- kubepage.Source{Client: client, Namespace: namespace, Logger: slog.New(slog.DiscardHandler)}.Watch(ctx, func(pages []pageapi.Page) {
			var marks []string
			for _, p := range pages {
				marks = append(marks, p.Response.Mark)
			}
			told <- strings.Join(marks, " ")
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return told
}

func waitFor(t *testing.T, told <-chan string, want string) {
	t.Helper()
	deadline, last := time.After(20*time.Second), "nothing"
	for {
		select {
		case last = <-told:
			if last == want {
				return
			}
		case <-deadline:
			t.Fatalf("told %q, want %q", last, want)
		}
	}
}

func page(mark string) pageapi.Page {
	return pageapi.Page{Hosts: []string{"shop.example.com"}, Response: edge.Response{Status: 503, ContentType: "text/html", Body: "<meta name=noren content=" + mark + ">", Mark: mark}}
}

func TestPagesAreToldAsTheyComeAndGo(t *testing.T) {
	client, namespace := connect(t)
	api := client.Typed.CoreV1().ConfigMaps(namespace)
	for name, labels := range map[string]map[string]string{"unlabelled": nil, "broken": {pageapi.Label: pageapi.LabelValue}} {
		_, err := api.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Data: map[string]string{"page.json": "{"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	told := watched(t, client, namespace)
	waitFor(t, told, "")
	params, err := kubepage.NewParams(namespace, "noren-web-page", page("m-1"))
	if err != nil {
		t.Fatal(err)
	}
	open, err := kubepage.Open(client, "kube", driver.Env{Name: "test"}, params)
	if err != nil {
		t.Fatal(err)
	}
	change := driver.Bare(open).Change
	from, err := change.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := change.Propose(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := change.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	waitFor(t, told, "m-1")
	pages, err := kubepage.List(t.Context(), client, namespace)
	if err != nil || len(pages) != 1 || pages[0].Response.Mark != "m-1" {
		t.Errorf("listed %+v (%v)", pages, err)
	}
	if err := change.Apply(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	waitFor(t, told, "")
}

func TestAPageTooLargeForAConfigMapIsRefused(t *testing.T) {
	p := page("m-1")
	p.Response.Body += strings.Repeat("x", 1<<20)
	if _, err := kubepage.NewParams("shop", "noren-web-page", p); err == nil || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("got %v", err)
	}
	client, namespace := connect(t)
	p.Response.Body = strings.Repeat("x", pageapi.MaxSize-4096)
	params, err := kubepage.NewParams(namespace, "large", p)
	if err != nil {
		t.Fatal(err)
	}
	open, err := kubepage.Open(client, "kube", driver.Env{Name: "test"}, params)
	if err != nil {
		t.Fatal(err)
	}
	to, err := open.Propose(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := open.Apply(t.Context(), nil, to); err != nil {
		t.Errorf("the largest page is not taken: %v", err)
	}
}

func TestServerCheck(t *testing.T) {
	client, namespace := connect(t)
	check, err := kubepage.OpenServerCheck(client, "kube", driver.Env{Name: "test"}, kubepage.ServerParams{Namespace: namespace, Service: "noren-page", Port: 80})
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(ok bool, words string) {
		t.Helper()
		v, err := check.Check(t.Context())
		if err != nil || v.OK != ok || !strings.Contains(v.Summary+strings.Join(v.Findings, " "), words) {
			t.Errorf("%+v (%v), want %t and %q", v, err, ok, words)
		}
	}
	server := testkube.Start(t)
	apply := func(text string) { server.Apply(t, strings.ReplaceAll(text, "NS", namespace)) }
	verdict(false, "there is no service")
	apply("apiVersion: v1\nkind: Service\nmetadata: {name: noren-page, namespace: NS}\nspec: {clusterIP: None, ports: [{port: 8080}]}")
	verdict(false, "has no port 80")
	apply("apiVersion: v1\nkind: Service\nmetadata: {name: noren-page, namespace: NS}\nspec: {clusterIP: None, ports: [{port: 80}]}")
	verdict(false, "no ready endpoint")
	apply(`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: p, namespace: NS, labels: {kubernetes.io/service-name: noren-page}}, addressType: IPv4, endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]}`)
	verdict(true, "1 of 1 endpoints ready")
}
