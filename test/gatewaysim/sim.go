// Package gatewaysim stands, in tests, for implementations of Gateway API and
// for Istio's gateways: it follows HTTPRoutes and VirtualServices on a real API
// server, serves them over HTTP in front of real servers, and reports on
// HTTPRoutes in their status.
//
// It follows a moment late, as controllers do. It chooses rules by the
// specification's words, with none of noren's code, and answers by itself from
// ListenerRuleConfigurations and HTTPRouteFilters. It knows no listeners: every
// route of its namespace is served on its one address.
package gatewaysim

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// lag is how late it follows.
const lag = 60 * time.Millisecond

// Controller is the name under which it reports.
const Controller = "example.com/gatewaysim"

// The kinds that it follows.
func kinds() map[string]schema.GroupVersionResource {
	return map[string]schema.GroupVersionResource{
		"HTTPRoute":                 {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
		"VirtualService":            {Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
		"ListenerRuleConfiguration": {Group: "gateway.k8s.aws", Version: "v1", Resource: "listenerruleconfigurations"},
		"HTTPRouteFilter":           {Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: "httproutefilters"},
	}
}

// A Sim is a running simulator.
type Sim struct {
	client    dynamic.Interface
	namespace string
	server    *httptest.Server

	mu       sync.Mutex
	routes   []route
	services []virtualService
	objects  map[string]object // "Kind name"
	backends map[string]string // "shop/web:80" → "127.0.0.1:port"
	rounds   int
	silent   bool
}

// Start runs a simulator for a namespace until the test ends.
func Start(t testing.TB, config *rest.Config, namespace string) *Sim {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatalf("gatewaysim: %v", err)
	}
	s := &Sim{client: client, namespace: namespace, backends: map[string]string{}}
	s.server = httptest.NewServer(s)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(lag)
		defer tick.Stop()
		for {
			if err := s.follow(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("gatewaysim: %v", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		s.server.Close()
	})
	return s
}

// Address is where it listens.
func (s *Sim) Address() string { return s.server.Listener.Addr().String() }

// Backend says where the port of a Service, "shop/web:80", really is.
func (s *Sim) Backend(service, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends[service] = address
}

// CatchUp waits until it has followed once from now on.
func (s *Sim) CatchUp(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	want := s.rounds + 2
	s.mu.Unlock()
	tick := time.NewTicker(lag / 4)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); ; {
		s.mu.Lock()
		rounds := s.rounds
		s.mu.Unlock()
		if rounds >= want {
			return
		}
		select {
		case <-deadline:
			t.Fatal("gatewaysim: it does not follow")
		case <-tick.C:
		}
	}
}

// Silence makes it report nothing any more, like a controller that is down.
func (s *Sim) Silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

// follow reads what there is, serves it from then on, and reports.
func (s *Sim) follow(ctx context.Context) error {
	read := map[string][]unstructured.Unstructured{}
	for kind, gvr := range kinds() {
		list, err := s.client.Resource(gvr).Namespace(s.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		read[kind] = list.Items
	}
	var routes []route
	for _, u := range read["HTTPRoute"] {
		r := route{name: u.GetName(), created: u.GetCreationTimestamp().Time}
		if err := specOf(u, &r); err != nil {
			return err
		}
		routes = append(routes, r)
	}
	var services []virtualService
	for _, u := range read["VirtualService"] {
		var v virtualService
		if err := specOf(u, &v); err != nil {
			return err
		}
		services = append(services, v)
	}
	objects := map[string]object{}
	for _, kind := range []string{"ListenerRuleConfiguration", "HTTPRouteFilter"} {
		for _, u := range read[kind] {
			var o object
			if err := specOf(u, &o); err != nil {
				return err
			}
			if u.GetDeletionTimestamp() == nil {
				objects[kind+" "+u.GetName()] = o
			}
		}
	}
	s.mu.Lock()
	s.routes, s.services, s.objects = routes, services, objects
	silent := s.silent
	s.mu.Unlock()
	for _, u := range read["HTTPRoute"] {
		if !silent {
			if err := s.report(ctx, &u); err != nil {
				return err
			}
		}
	}
	s.mu.Lock()
	s.rounds++
	s.mu.Unlock()
	return nil
}

func specOf(u unstructured.Unstructured, into any) error {
	raw, err := json.Marshal(u.Object["spec"])
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// report writes the status of a route, unless it says the same already.
func (s *Sim) report(ctx context.Context, u *unstructured.Unstructured) error {
	parents, _, _ := unstructured.NestedSlice(u.Object, "spec", "parentRefs")
	var all []any
	for _, p := range parents {
		condition := func(kind, status, reason, message string) map[string]any {
			return map[string]any{"type": kind, "status": status, "reason": reason, "message": message,
				"observedGeneration": u.GetGeneration(), "lastTransitionTime": "2026-01-01T00:00:00Z"}
		}
		resolved := condition("ResolvedRefs", "True", "ResolvedRefs", "")
		if missing := s.missing(u); missing != "" {
			resolved = condition("ResolvedRefs", "False", "BackendNotFound", missing)
		}
		all = append(all, map[string]any{"parentRef": p, "controllerName": Controller,
			"conditions": []any{condition("Accepted", "True", "Accepted", ""), resolved}})
	}
	was, _, _ := unstructured.NestedSlice(u.Object, "status", "parents")
	if fmt.Sprint(was) == fmt.Sprint(all) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"parents": all}})
	if err != nil {
		return err
	}
	_, err = s.client.Resource(kinds()["HTTPRoute"]).Namespace(s.namespace).
		Patch(ctx, u.GetName(), "application/merge-patch+json", patch, metav1.PatchOptions{}, "status")
	return err
}

// missing names a filter's object that does not exist.
func (s *Sim) missing(u *unstructured.Unstructured) string {
	var r route
	if specOf(*u, &r) != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rule := range r.Rules {
		for _, f := range rule.Filters {
			if e := f.Extension; e != nil {
				if _, there := s.objects[e.Kind+" "+e.Name]; !there {
					return fmt.Sprintf("%s %s not found", e.Kind, e.Name)
				}
			}
		}
	}
	return ""
}

// ServeHTTP serves the namespace's routes.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer, backend := s.choose(r)
	address := s.backends[s.namespace+"/"+backend]
	s.mu.Unlock()
	if answer != nil {
		for key, value := range answer.header {
			w.Header().Set(key, value)
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write([]byte(answer.body))
		return
	}
	if address == "" {
		http.Error(w, "no endpoint for "+backend, http.StatusServiceUnavailable)
		return
	}
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: address})
		p.Out.Host = p.In.Host
	}}
	proxy.ServeHTTP(w, r)
}

// source is the visitor's address.
func source(r *http.Request) netip.Addr {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	a, _ := netip.ParseAddr(host)
	return a
}
