package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/gate"
)

const gateFile = "gate.yaml"

func (a *app) gateCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "gate",
		Short: "Run noren's own front door for applications that have none",
		Long: `Gate is a reverse proxy that noren can close and open. Customers come in at its
listen addresses; noren talks to it at its admin address. What is closed is kept
on disk, so that it comes back closed if it was. SIGTERM or Ctrl-C lets requests
under way finish.`,
		Example: `  noren gate init
  noren gate --config gate.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.gate(cmd.Context(), config) },
	}
	c.Flags().StringVarP(&config, "config", "c", gateFile, "the gate's file")
	c.AddCommand(a.gateInitCommand())
	return c
}

func (a *app) gate(ctx context.Context, path string) error {
	config, err := gate.Load(path)
	if err != nil {
		return err
	}
	config.Logger = slog.New(slog.NewTextHandler(a.Stderr, nil))
	if a.output == "json" {
		config.Logger = slog.New(slog.NewJSONHandler(a.Stderr, nil))
	}
	g, err := gate.New(config)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-g.Ready():
	}
	a.serving(config, g)
	return <-done
}

// serving prints where the gate listens and what it serves, a line each.
func (a *app) serving(c gate.Config, g *gate.Gate) {
	var text strings.Builder
	addrs := g.Addrs()
	var listen []string
	for i, at := range addrs.Listen {
		url := address(at, c.Listen[i].Cert != "")
		listen = append(listen, url)
		fmt.Fprintf(&text, "listen  %s\n", url)
	}
	admin := address(addrs.Admin, c.Admin.Cert != "")
	fmt.Fprintf(&text, "admin   %s  token in %s\n", admin, g.TokenFile())
	doors := []map[string]any{}
	for _, d := range c.Doors {
		hosts := "any host"
		if len(d.Hosts) > 0 {
			hosts = strings.Join(d.Hosts, ", ")
		}
		fmt.Fprintf(&text, "door    %s  %s → %s\n", d.Name, hosts, d.Backend)
		doors = append(doors, map[string]any{"name": d.Name, "hosts": d.Hosts, "backend": d.Backend})
	}
	a.view.Result(text.String(), map[string]any{"listen": listen, "admin": admin, "tokenFile": g.TokenFile(), "doors": doors})
}

func address(at net.Addr, tls bool) string {
	if tls {
		return "https://" + at.String()
	}
	return "http://" + at.String()
}

func (a *app) gateInitCommand() *cobra.Command {
	var out string
	var force bool
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a gate.yaml to begin with",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.mayWrite(cmd.Context(), out, &force); err != nil {
				return err
			}
			if err := writeFile(out, []byte(gateExample), force); err != nil {
				return err
			}
			a.view.Result(fmt.Sprintf("Written: %s. Put in your application's address, then:\n\n    noren gate --config %s\n    noren init --gate http://127.0.0.1:7410 --gate-token-file %s\n",
				out, out, filepath.Join(filepath.Dir(out), "gate-state", "admin.token")), map[string]any{"file": out})
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", gateFile, "where to write")
	c.Flags().BoolVar(&force, "force", false, "overwrite the file if it is there")
	return c
}

// gateExample is a whole file, which a test loads.
const gateExample = `# A gate of noren's: a reverse proxy that noren closes and opens.
# Run it with:  noren gate --config gate.yaml

# Where customers come in. With cert and key it speaks TLS.
listen:
  - address: ":8080"
  # - {address: ":8443", cert: tls.crt, key: tls.key}

# Where noren talks to the gate. Other machines may reach it only over TLS.
admin:
  address: 127.0.0.1:7410

# What is closed is kept here, so that the gate comes back closed if it was.
state_dir: gate-state

# One door for each application. Without hosts a door serves every host that no
# other does.
doors:
  - name: shop
    hosts: [shop.example.com]
    backend: http://127.0.0.1:3000
    health: /healthz
    # urls: [https://shop.example.com/]  # where customers see it, if something stands before the gate

# Proxies before the gate, whose X-Forwarded-For tells where a request is from.
# trusted_proxies: [10.0.0.0/8]

# How long requests may take to end when the gate stops.
# drain: 30s

# The status document that mobile apps read, which the gate serves at every host,
# also while everything is closed: /.well-known/noren/app-status.json
# app_status: app-status.json

# A line for each request in the log.
# access_log: true
`
