// Package kubeclient connects drivers to a Kubernetes API server and speaks
// about what it answers: errors become what package action and package fault
// know, edits become JSON Patches that lose nobody's work, and missing
// permissions become the RBAC YAML that grants them.
//
// It is shared by every driver whose outside system is Kubernetes.
package kubeclient

import (
	"fmt"
	"runtime"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// FieldManager is the name under which noren's writes appear in
// metadata.managedFields.
const FieldManager = "noren"

const (
	// client-go allows 5 requests a second by default, with bursts of 10: a
	// closing of 35 services would wait for itself longer than for the server.
	// The server has its own protection (API Priority and Fairness, 429), which
	// Classify turns into a retry, so the client-side limit is only a fuse
	// against a loop of ours.
	// Source: k8s.io/client-go/rest DefaultQPS, DefaultBurst.
	defaultQPS   = 1000
	defaultBurst = 2000

	// requestTimeout bounds one HTTP request. It is shorter than the deadline
	// that package driver puts on a call, so that the error is about the server.
	requestTimeout = 20 * time.Second
)

// Config says which cluster, in the words of kubectl. Empty values mean what
// they mean there: $KUBECONFIG or ~/.kube/config, its current context, or the
// service account of the pod.
type Config struct {
	Kubeconfig string  `json:"kubeconfig,omitempty"`
	Context    string  `json:"context,omitempty"`
	QPS        float32 `json:"qps,omitempty"`
	Burst      int     `json:"burst,omitempty"`
}

// A Client is a connection to one cluster. It is safe for concurrent use.
type Client struct {
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface
	// Context is the name of the kubeconfig context, "" in a pod.
	Context string
}

// New reads the kubeconfig and makes the clients. It sends no request.
func New(cfg Config) (*Client, error) {
	config, name, err := cfg.REST()
	if err != nil {
		return nil, err
	}
	return NewForConfig(config, name)
}

// REST reads the kubeconfig: how the cluster is reached, and the name of the
// context, "" in a pod.
func (cfg Config) REST() (config *rest.Config, context string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = cfg.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: cfg.Context})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", kubeconfigFault(cfg, err)
	}
	name := cfg.Context
	if name == "" {
		name = raw.CurrentContext
	}
	if _, known := raw.Contexts[name]; !known && name != "" {
		return nil, "", contextFault(cfg, name, raw)
	}
	if config, err = loader.ClientConfig(); err != nil {
		return nil, "", kubeconfigFault(cfg, err)
	}
	if cfg.QPS > 0 {
		config.QPS = cfg.QPS
	}
	if cfg.Burst > 0 {
		config.Burst = cfg.Burst
	}
	return config, name, nil
}

// NewForConfig makes the clients from a ready configuration, which it copies.
// Limits and timeouts that it leaves at zero get noren's own.
func NewForConfig(config *rest.Config, context string) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = userAgent()
	if config.QPS == 0 {
		config.QPS = defaultQPS
	}
	if config.Burst == 0 {
		config.Burst = defaultBurst
	}
	if config.Timeout == 0 {
		config.Timeout = requestTimeout
	}
	// Warnings of the server (deprecations) are for its operators, not for a
	// terminal in the middle of the night.
	config.WarningHandler = rest.NoWarnings{}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	return &Client{Typed: typed, Dynamic: dyn, Context: context}, nil
}

func userAgent() string {
	return fmt.Sprintf("noren/1 (%s/%s)", runtime.GOOS, runtime.GOARCH)
}
