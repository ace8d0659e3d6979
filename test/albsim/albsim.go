// Package albsim stands, in tests, for the AWS Load Balancer Controller and
// the load balancers it makes: it watches the Ingresses of a real API server,
// makes rules of them with the same code that who-sees and plans use, and
// serves them over HTTP in front of real servers.
//
// It imitates what trips people with the real one: one bad member freezes its
// whole group and says so in events; a target group that no rule refers to is
// gone at once, and its targets must register again; finalizers hold an
// Ingress until the group was reconciled; listeners change a moment after the
// Ingress did. It does not imitate health checks, TLS or AWS's own limits
// beyond those that package lbc knows.
package albsim

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
)

// resync is how often the simulator looks, besides being told of changes.
const resync = 200 * time.Millisecond

// A Sim is a running simulator.
type Sim struct {
	client    kubernetes.Interface
	classes   lbc.Classes
	namespace string

	mu       sync.Mutex
	groups   map[string]*balancer
	backends map[string]string // "service shop/web:80" → "127.0.0.1:port"
	frozen   map[string]string // group → reason
	rounds   int               // how often it has reconciled
}

// A balancer is one simulated load balancer.
type balancer struct {
	servers map[int]*httptest.Server // by listener port
	front   edge.Front
	// targets are the target groups by rule source and backend. A value is how
	// many requests it still refuses because its targets are registering.
	targets map[string]int
}

// Registering is how many requests a new target group answers with 503 before
// its targets count as healthy. The real one takes seconds to minutes.
const Registering = 5

// NoTarget is the header of answers that a target group without healthy
// targets gives.
const NoTarget = "X-Albsim-No-Target"

// Start runs a simulator for the Ingresses of the classes in a namespace ("":
// in all) until the test ends.
func Start(t testing.TB, config *rest.Config, namespace string, classes lbc.Classes) *Sim {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatalf("albsim: %v", err)
	}
	s := &Sim{client: client, classes: classes, namespace: namespace, groups: map[string]*balancer{}, backends: map[string]string{}, frozen: map[string]string{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx, t)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		for _, b := range s.groups {
			for _, server := range b.servers {
				server.Close()
			}
		}
	})
	return s
}

// Backend tells where a Service's port is served.
func (s *Sim) Backend(service, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends["service "+service] = address
}

// Address waits until the group ("group NAME" or "ingress NAMESPACE/NAME") has
// a listener on port, and returns where it really listens.
func (s *Sim) Address(t testing.TB, group string, port int) string {
	t.Helper()
	var address string
	s.wait(t, func() bool {
		b := s.groups[group]
		if b == nil || b.servers[port] == nil {
			return false
		}
		address = b.servers[port].Listener.Addr().String()
		return true
	}, func() string {
		return fmt.Sprintf("no listener on port %d of %q; groups: %q", port, group, slices.Sorted(maps.Keys(s.groups)))
	})
	return address
}

// CatchUp waits until the load balancers follow the Ingresses as they are now.
func (s *Sim) CatchUp(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	want := s.rounds + 2 // the round under way may have read before
	s.mu.Unlock()
	s.wait(t, func() bool { return s.rounds >= want }, func() string { return "it does not catch up" })
}

// wait asks again and again whether something is so.
func (s *Sim) wait(t testing.TB, so func() bool, trouble func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		done := so()
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Fatalf("albsim: %s", trouble())
		case <-tick.C:
		}
	}
}

// run reconciles at every change, and now and then without one.
func (s *Sim) run(ctx context.Context, t testing.TB) {
	last := ""
	tick := time.NewTicker(resync)
	defer tick.Stop()
	for {
		changes := s.watch(ctx, last)
		list, err := s.client.NetworkingV1().Ingresses(s.namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			last = list.ResourceVersion
			s.reconcile(ctx, list.Items)
			s.mu.Lock()
			s.rounds++
			s.mu.Unlock()
		} else if ctx.Err() == nil {
			t.Logf("albsim: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
		case <-tick.C:
		}
	}
}

// watch returns a channel that is closed at the first change after version.
func (s *Sim) watch(ctx context.Context, version string) <-chan struct{} {
	changed := make(chan struct{})
	if version == "" {
		return changed
	}
	w, err := s.client.NetworkingV1().Ingresses(s.namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: version})
	if err != nil {
		return changed
	}
	go func() {
		defer close(changed)
		defer w.Stop()
		select {
		case <-ctx.Done():
		case <-w.ResultChan():
		case <-time.After(resync):
		}
	}()
	return changed
}

func (s *Sim) reconcile(ctx context.Context, all []networkingv1.Ingress) {
	members := map[string][]*networkingv1.Ingress{}
	var leaving []*networkingv1.Ingress
	frozen := map[string]bool{}
	for i := range all {
		ing := &all[i]
		if _, ok := s.classes.Of(ing); !ok {
			continue
		}
		if ing.DeletionTimestamp != nil {
			leaving = append(leaving, ing)
			continue
		}
		g, err := s.classes.Group(ing)
		if err != nil {
			continue
		}
		members[g.String()] = append(members[g.String()], ing)
	}
	for name, group := range members {
		frozen[name] = !s.group(ctx, name, group)
	}
	s.mu.Lock()
	for name := range s.groups {
		if members[name] == nil {
			s.groups[name].front = edge.Front{}
		}
	}
	s.mu.Unlock()
	for _, ing := range leaving {
		if g, err := s.classes.Group(ing); err != nil || !frozen[g.String()] {
			s.finalizers(ctx, ing, nil)
		}
	}
}

// group makes one load balancer follow its members, and tells whether it could.
func (s *Sim) group(ctx context.Context, name string, members []*networkingv1.Ingress) bool {
	for _, ing := range members {
		finalizer := lbc.ImplicitFinalizer
		if g, ok := strings.CutPrefix(name, "group "); ok {
			finalizer = lbc.GroupFinalizer + g
		}
		s.finalizers(ctx, ing, []string{finalizer})
	}
	front, problems := lbc.Build(members, lbc.Options{Classes: s.classes})
	for _, p := range problems {
		if p.Freezes() {
			message := "Failed deploy model due to " + p.Reason
			if p.Event == lbc.FailedBuildModel {
				message = "Failed build model due to ingress: " + p.Ingress + ": " + p.Reason
			}
			s.say(ctx, members, name, corev1.EventTypeWarning, p.Event, message)
			return false
		}
	}
	s.mu.Lock()
	b := s.groups[name]
	if b == nil {
		b = &balancer{servers: map[int]*httptest.Server{}, targets: map[string]int{}}
		s.groups[name] = b
	}
	first := len(b.front.Listeners) == 0
	b.front = front
	wanted := map[string]int{}
	for _, l := range front.Listeners {
		if b.servers[l.Port] == nil {
			b.servers[l.Port] = httptest.NewServer(s.serve(b, l.Port))
		}
		for _, r := range l.Rules {
			if r.Action.Kind == edge.Forward {
				key := targetGroup(r)
				wanted[key] = Registering
				if have, ok := b.targets[key]; ok || first {
					wanted[key] = have
				}
			}
		}
	}
	b.targets = wanted
	s.mu.Unlock()
	s.say(ctx, members, name, corev1.EventTypeNormal, lbc.Reconciled, "Successfully reconciled")
	return true
}

// targetGroup identifies a target group as the controller does: by the Ingress
// and the Service's port, so that two Ingresses never share one.
func targetGroup(r edge.Rule) string {
	return ingressIn.FindString(r.Name) + " " + r.Action.Backend
}

// ingressIn finds the Ingress in a rule's name: "ingress shop/web rules[0]…",
// also in noren's own, "noren: closed (ingress shop/noren-web-closed …)".
var ingressIn = regexp.MustCompile(`ingress [^\s/]+/[^\s)]+`)

func (s *Sim) finalizers(ctx context.Context, ing *networkingv1.Ingress, want []string) {
	if slices.Equal(ing.Finalizers, want) {
		return
	}
	_ = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		fresh, err := s.client.NetworkingV1().Ingresses(ing.Namespace).Get(ctx, ing.Name, metav1.GetOptions{})
		if err != nil || fresh.UID != ing.UID {
			return nil
		}
		fresh.Finalizers = want
		_, err = s.client.NetworkingV1().Ingresses(ing.Namespace).Update(ctx, fresh, metav1.UpdateOptions{})
		return err
	})
}

// say records an event on every member, once for each reason of a state.
func (s *Sim) say(ctx context.Context, members []*networkingv1.Ingress, group, kind, reason, message string) {
	versions := reason + message
	for _, ing := range members {
		versions += " " + string(ing.UID) + fmt.Sprint(ing.Generation) + fmt.Sprint(ing.Annotations)
	}
	s.mu.Lock()
	said := s.frozen[group] == versions
	s.frozen[group] = versions
	s.mu.Unlock()
	if said {
		return
	}
	now := metav1.Now()
	for _, ing := range members {
		_, _ = s.client.CoreV1().Events(ing.Namespace).Create(ctx, &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{GenerateName: ing.Name + ".", Namespace: ing.Namespace},
			InvolvedObject: corev1.ObjectReference{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: ing.Namespace, Name: ing.Name, UID: ing.UID},
			Type:           kind, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
			Source: corev1.EventSource{Component: "ingress"},
		}, metav1.CreateOptions{})
	}
}

// serve answers as the load balancer's listener on port.
func (s *Sim) serve(b *balancer, port int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		d, err := b.front.Decide(request(r, port))
		address, refuse := "", false
		if err == nil && d.Action.Kind == edge.Forward {
			address = s.backends[d.Action.Backend]
			if d.Index >= 0 {
				key := targetGroup(d.Listener.Rules[d.Index])
				if refuse = b.targets[key] > 0; refuse {
					b.targets[key]--
				}
			}
		}
		s.mu.Unlock()
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
		case d.Action.Kind == edge.Respond:
			w.Header().Set("Content-Type", d.Action.Response.ContentType)
			w.WriteHeader(d.Action.Response.Status)
			_, _ = w.Write([]byte(d.Action.Response.Body))
		case d.Action.Kind == edge.Redirect:
			http.Redirect(w, r, d.Action.Location, d.Action.Status)
		case refuse || address == "":
			w.Header().Set(NoTarget, "1")
			http.Error(w, "no healthy target for "+d.Action.Backend, http.StatusServiceUnavailable)
		default:
			httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}).ServeHTTP(w, r)
		}
	})
}

func request(r *http.Request, port int) edge.Request {
	scheme := "http"
	if port == 443 {
		scheme = "https"
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	source, _ := netip.ParseAddrPort(r.RemoteAddr)
	return edge.Request{Scheme: scheme, Port: port, Method: r.Method, Host: host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: r.Header, Source: source.Addr()}
}
