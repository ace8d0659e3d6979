package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// readyInterval is how often a starting server is asked whether it is ready.
const readyInterval = 25 * time.Millisecond

// apiServer is a configured kube-apiserver that does not run yet.
type apiServer struct {
	url     string
	options options.CompletedOptions
}

// newAPIServer configures an API server on a free loopback port that stores
// its objects in the etcd at etcdURL.
func newAPIServer(ctx context.Context, creds *credentials, etcdURL string) (*apiServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on a free loopback port: %w", err)
	}
	opts, err := parseOptions(serverArgs(creds, etcdURL))
	if err != nil {
		return nil, err
	}
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port

	completed, err := opts.Complete(ctx)
	if err != nil {
		return nil, fmt.Errorf("complete the kube-apiserver options: %w", err)
	}
	if err := utilerrors.NewAggregate(completed.Validate()); err != nil {
		return nil, fmt.Errorf("validate the kube-apiserver options: %w", err)
	}
	return &apiServer{url: "https://" + listener.Addr().String(), options: completed}, nil
}

// serverArgs returns the kube-apiserver command line. What it leaves out keeps
// the upstream default.
func serverArgs(creds *credentials, etcdURL string) []string {
	return []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--tls-cert-file=" + creds.servingCert,
		"--tls-private-key-file=" + creds.servingKey,
		"--token-auth-file=" + creds.tokenFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + creds.serviceAccountKey,
		"--service-account-signing-key-file=" + creds.serviceAccountKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		// No controller manager makes the service accounts that this plug-in
		// would want for each pod.
		"--disable-admission-plugins=ServiceAccount",
		// One server whose life is short needs no shares, no leases for its own
		// endpoint, no compaction and no profiling.
		"--enable-priority-and-fairness=false",
		"--endpoint-reconciler-type=none",
		"--etcd-compaction-interval=0",
		"--profiling=false",
	}
}

// parseOptions returns the options that kube-apiserver takes from args.
func parseOptions(args []string) (*options.ServerRunOptions, error) {
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("parse the kube-apiserver flags: %w", err)
	}
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, fmt.Errorf("set the kube-apiserver feature gates: %w", err)
	}
	return opts, nil
}

// waitReady asks the server that the kubeconfig names whether it is ready,
// until it says so.
func waitReady(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	check := func(ctx context.Context) (bool, error) { return isReady(ctx, client, config.Host), nil }
	if err := wait.PollUntilContextTimeout(ctx, readyInterval, readyTimeout, true, check); err != nil {
		return fmt.Errorf("wait for the API server to be ready: %w", err)
	}
	return nil
}

// isReady says whether the server at url calls itself ready.
func isReady(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
