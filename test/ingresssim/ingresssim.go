// Package ingresssim stands, in tests, for an ingress controller that noren
// does not know closely: it follows the Ingresses of one class on a real API
// server and serves them over HTTP in front of real servers, with the rules
// that package plainingress reads out of them.
//
// It follows a moment late, as controllers do. It does not imitate any
// controller's annotations.
package ingresssim

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/noren-dev/noren/internal/driver/kube/plainingress"
	"github.com/noren-dev/noren/internal/edge"
)

// lag is how late it follows.
const lag = 50 * time.Millisecond

// A Sim is a running simulator.
type Sim struct {
	client    kubernetes.Interface
	namespace string
	class     string
	server    *httptest.Server

	mu       sync.Mutex
	front    edge.Front
	backends map[string]string // "service shop/web:80" → "127.0.0.1:port"
	rounds   int               // how often it has followed
}

// Start runs a simulator for the Ingresses of a class in a namespace until the
// test ends.
func Start(t testing.TB, config *rest.Config, namespace, class string) *Sim {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatalf("ingresssim: %v", err)
	}
	s := &Sim{client: client, namespace: namespace, class: class, backends: map[string]string{}}
	s.server = httptest.NewServer(s)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx, t)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		s.server.Close()
	})
	return s
}

// Address is where it listens, for every host.
func (s *Sim) Address() string { return s.server.Listener.Addr().String() }

// Backend tells where a Service's port is served.
func (s *Sim) Backend(service, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends["service "+service] = address
}

// CatchUp waits until it follows the Ingresses as they are now.
func (s *Sim) CatchUp(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	want := s.rounds + 2 // the round under way may have read before
	s.mu.Unlock()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(lag / 5)
	defer tick.Stop()
	for {
		s.mu.Lock()
		done := s.rounds >= want
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-deadline:
			t.Fatal("ingresssim: it does not catch up")
		case <-tick.C:
		}
	}
}

func (s *Sim) run(ctx context.Context, t testing.TB) {
	tick := time.NewTicker(lag)
	defer tick.Stop()
	for {
		list, err := s.client.NetworkingV1().Ingresses(s.namespace).List(ctx, metav1.ListOptions{})
		switch {
		case err == nil:
			s.follow(list.Items)
		case ctx.Err() == nil:
			t.Logf("ingresssim: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Sim) follow(all []networkingv1.Ingress) {
	var own []*networkingv1.Ingress
	for i, ing := range all {
		if ing.Spec.IngressClassName != nil && *ing.Spec.IngressClassName == s.class && ing.DeletionTimestamp == nil {
			own = append(own, &all[i])
		}
	}
	front := plainingress.Build(own, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.front = front
	s.rounds++
}

// ServeHTTP answers a customer.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	s.mu.Lock()
	d, err := s.front.Decide(edge.Request{Scheme: "http", Method: r.Method, Host: host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header})
	address := s.backends[d.Action.Backend]
	s.mu.Unlock()
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	case d.Action.Kind == edge.Respond:
		http.Error(w, d.Action.Response.Body, d.Action.Response.Status)
	case address == "":
		http.Error(w, fmt.Sprintf("no endpoint for %s", d.Action.Backend), http.StatusServiceUnavailable)
	default:
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: address})
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		}}).ServeHTTP(w, r)
	}
}
