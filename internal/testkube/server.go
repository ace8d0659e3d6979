// Package testkube gives tests a real Kubernetes API server: the upstream
// kube-apiserver with etcd, RBAC and admission, but no controllers and no
// nodes. Objects are stored and validated; nothing acts on them.
//
// Install it once with `make test-tools`. A test then calls [Start], which
// shares one server among all tests of the process, and takes a namespace of
// its own with [Server.Namespace].
package testkube

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// The contexts of the kubeconfig, each with a user of the same name.
const (
	// Admin may do everything: its user is in the group system:masters.
	Admin = "admin"
	// Limited may do nothing but what a test grants its user by RBAC. Grant it
	// by a role of the test: the built-in roles view, edit and admin are empty
	// here, as a controller would have to fill them.
	Limited = "limited"
)

// Server is a running Kubernetes API server. Its methods may be called from
// several tests at once.
type Server struct {
	// Kubeconfig is the path of a kubeconfig with the contexts Admin, which is
	// the current one, and Limited.
	Kubeconfig string

	tools   string // folder that install.sh filled
	process *process
	configs map[string]*rest.Config // by context
	client  dynamic.Interface       // as Admin
	mapper  *restmapper.DeferredDiscoveryRESTMapper

	crdsMu sync.Mutex
	crds   map[string]string // CRD name to the set it came from
}

// Option changes what [Start] returns.
type Option func(*settings)

type settings struct{ dedicated bool }

// Dedicated makes [Start] return a server for this test alone, stopped at its
// end. It costs some seconds, and 650 MB with the CRDs of Argo CD, so it is for
// tests that change what all namespaces share, such as cluster roles or another
// version of a CRD.
func Dedicated() Option {
	return func(s *settings) { s.dedicated = true }
}

// shared starts the server that all tests of this process share. It is never
// stopped from here: it ends by itself when this process does.
var shared = sync.OnceValues(startServer)

// Start returns a running API server, by default the one that all tests of
// the process share. It fails the test when the server cannot be started.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	var set settings
	for _, opt := range opts {
		opt(&set)
	}
	start := shared
	if set.dedicated {
		start = startServer
	}
	server, err := start()
	if err != nil {
		t.Fatalf("testkube: %v", err)
	}
	if set.dedicated {
		t.Cleanup(func() { server.stop(t) })
	}
	return server
}

// Config returns a new client configuration for a context of the kubeconfig,
// [Admin] or [Limited]. It panics on any other.
func (s *Server) Config(context string) *rest.Config {
	config, ok := s.configs[context]
	if !ok {
		known := slices.Sorted(maps.Keys(s.configs))
		panic(fmt.Sprintf("testkube: no context %q in the kubeconfig; use one of %q", context, known))
	}
	return rest.CopyConfig(config)
}

// startServer starts a server and connects to it.
func startServer() (*Server, error) {
	tools, err := toolsDir()
	if err != nil {
		return nil, err
	}
	process, err := launch(tools)
	if err != nil {
		return nil, err
	}
	s := &Server{Kubeconfig: process.kubeconfig, tools: tools, process: process, crds: map[string]string{}}
	if err := s.connect(); err != nil {
		return nil, fmt.Errorf("connect to the test API server: %w", err)
	}
	return s, nil
}

// connect reads the kubeconfig and makes the clients that the server's own
// methods use.
func (s *Server) connect() error {
	var err error
	if s.configs, err = loadConfigs(s.Kubeconfig); err != nil {
		return err
	}
	config := s.Config(Admin)
	config.WarningHandler = rest.NoWarnings{}
	if s.client, err = dynamic.NewForConfig(config); err != nil {
		return err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	return nil
}

// loadConfigs returns a client configuration, without a rate limit, for each
// context of the kubeconfig.
func loadConfigs(kubeconfig string) (map[string]*rest.Config, error) {
	raw, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	configs := map[string]*rest.Config{}
	for name := range raw.Contexts {
		config, err := clientcmd.NewNonInteractiveClientConfig(*raw, name, nil, nil).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("context %s: %w", name, err)
		}
		config.QPS = -1
		configs[name] = config
	}
	return configs, nil
}

// stop ends a dedicated server.
func (s *Server) stop(t testing.TB) {
	if err := s.process.stop(); err != nil {
		t.Errorf("testkube: stop the API server: %v", err)
	}
}
