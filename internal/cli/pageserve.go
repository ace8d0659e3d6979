package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/kubeclient/kubestatus"
	"github.com/noren-dev/noren/internal/pageserver"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// serveFlags say where pages come from and where they are served.
type serveFlags struct {
	listen, health             string
	dir                        string
	appStatus                  string
	namespace, kubeconfig, ctx string
	drain, leave               time.Duration
}

func (a *app) pageServeCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the page server, which answers with closed pages",
		Long: `Serve answers every request with 503: with the closed page for its host, as HTML
or JSON by Accept, or with a neutral text where there is no page for it. Pages
come from the ConfigMaps that noren writes in a namespace, or from a directory
whose folders hold closed.html, closed.json and page.json.

For apps it answers /.well-known/noren/app-status.json with 200 and the status
document: that of --app-status, or the one that noren keeps in the namespace.

In a pod the namespace is the pod's own. "noren page manifest" prints all that
Kubernetes needs to run it. SIGTERM or Ctrl-C lets requests under way finish.`,
		Example: `  noren page serve --namespace shop
  noren page serve --dir pages --listen :8080
  noren page serve --dir pages --app-status app-status.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.pageServe(cmd.Context(), f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.listen, "listen", ":8080", "where requests for closed pages come in")
	flags.StringVar(&f.health, "health", ":8081", "where "+pageapi.HealthyPath+" and "+pageapi.ReadyPath+" are answered")
	flags.StringVar(&f.dir, "dir", "", "serve the pages of this directory, without Kubernetes")
	flags.StringVar(&f.appStatus, "app-status", "", "the file of the status document to serve to apps")
	flags.StringVar(&f.namespace, "namespace", "", "the namespace whose pages are served (default: the pod's own)")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "the kubeconfig (default: the pod's service account, or as kubectl does)")
	flags.StringVar(&f.ctx, "context", "", "a context in it")
	flags.DurationVar(&f.drain, "drain", 30*time.Second, "how long requests may take to end when it stops")
	flags.DurationVar(&f.leave, "leave", 0, "how long it serves on, not ready, after it was told to stop")
	return c
}

func (a *app) pageServe(ctx context.Context, f serveFlags) error {
	log := slog.New(slog.NewTextHandler(a.Stderr, nil))
	if a.output == "json" {
		log = slog.New(slog.NewJSONHandler(a.Stderr, nil))
	}
	config := pageserver.Config{Listen: f.listen, Health: f.health, Drain: f.drain, Leave: f.leave, Logger: log}
	from, err := f.source(&config)
	if err != nil {
		return err
	}
	if f.appStatus != "" {
		config.AppStatus, config.WatchAppStatus = appstatus.NewHandler(f.appStatus, a.Now, log), nil
	}
	s := pageserver.New(config)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-s.Ready(): // until then the log says what is waited for
	}
	listen, health := address(s.Addrs().Listen, false), address(s.Addrs().Health, false)
	a.view.Result(fmt.Sprintf("listen  %s\nhealth  %s\npages   %s\n", listen, health, from),
		map[string]any{"listen": listen, "health": health, "pages": from})
	return <-done
}

// source puts into the configuration where the pages come from, and the status
// document of a namespace. It returns its name for people.
func (f serveFlags) source(c *pageserver.Config) (string, error) {
	if f.dir != "" {
		if f.namespace != "" {
			return "", &fault.Fault{Code: fault.Invalid, Summary: "two sources of pages",
				Detail: "Pages come from a directory (--dir) or from a namespace (--namespace), not from both."}
		}
		c.Source = pageserver.Directory{Path: f.dir, Logger: c.Logger}
		return "directory " + f.dir, nil
	}
	namespace := f.namespace
	if namespace == "" {
		var err error
		if namespace, err = kubepage.OwnNamespace(); err != nil {
			return "", err
		}
	}
	client, err := kubeclient.New(kubeclient.Config{Kubeconfig: f.kubeconfig, Context: f.ctx})
	if err != nil {
		return "", err
	}
	c.Source = kubepage.Source{Client: client, Namespace: namespace, Logger: c.Logger}
	c.AppStatus = appstatus.NewHandlerOf(time.Now, c.Logger)
	c.WatchAppStatus = kubestatus.Source{Client: client, Namespace: namespace, Logger: c.Logger}.Watch
	return "namespace " + namespace, nil
}

// noImage stands where the reader puts their own: none is published.
const noImage = "registry.example.com/noren:latest"

func (a *app) pageManifestCommand() *cobra.Command {
	m := pageserver.Manifest{}
	c := &cobra.Command{
		Use:   "manifest",
		Short: "Print what runs the page server in a namespace, as YAML for Git",
		Long: `Manifest prints a Deployment of "noren page serve" with its Service, the Role
that lets it read ConfigMaps of its namespace and nothing else, a disruption
budget, and on request a NetworkPolicy. An Ingress can only lead to Services of
its own namespace, so each namespace with Ingresses needs one.

No image of noren is published: build one with the Dockerfile of its repository
and push it to your registry.`,
		Example: `  noren page manifest --namespace shop --image registry.example.com/noren:1.2.3 > noren-page.yaml
  kubectl apply --dry-run=server -f noren-page.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if m.Image == "" {
				m.Image = noImage
				a.view.Say("No image of noren is published: put yours in place of %s, or give --image.", noImage)
			}
			text, err := m.YAML()
			if err != nil {
				return err
			}
			a.view.Result(text, map[string]any{"namespace": m.Namespace, "service": m.Name, "port": pageapi.DefaultPort, "image": m.Image, "yaml": text})
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&m.Namespace, "namespace", "", "the namespace of the Ingresses")
	flags.StringVar(&m.Name, "name", pageapi.DefaultService, "the name of the Service and of everything else")
	flags.StringVar(&m.Image, "image", "", "the image of noren in your registry")
	flags.IntVar(&m.Replicas, "replicas", 2, "how many pods")
	flags.BoolVar(&m.NetworkPolicy, "network-policy", false, "add a NetworkPolicy")
	flags.BoolVar(&m.GKE, "gke", false, "add what Google's load balancer needs to know of health checks")
	_ = c.MarkFlagRequired("namespace") // it is there: the line above made it
	return c
}
