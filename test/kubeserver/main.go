// Command noren-test-kube runs a real Kubernetes API server for tests: an
// embedded etcd and an unmodified kube-apiserver in one process, on loopback
// and on free ports, with RBAC on.
//
// Once the server is ready it prints one line of JSON on stdout:
//
//	{"url":"https://127.0.0.1:40123","kubeconfig":"DIR/kubeconfig"}
//
// The kubeconfig has the contexts "admin" (group system:masters) and "limited"
// (a user without any rights of its own). Logs go to stderr.
//
// It runs until SIGTERM or SIGINT, until stdin closes, or until its parent
// process dies, so that a killed test leaves no server behind.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const (
	// readyTimeout bounds the start; an idle machine needs about three seconds.
	readyTimeout = 2 * time.Minute
	// stopTimeout bounds the shutdown, after which the process just exits.
	stopTimeout = 15 * time.Second
)

// ready is the line printed on stdout when the server can be used.
type ready struct {
	URL        string `json:"url"`
	Kubeconfig string `json:"kubeconfig"`
}

func main() {
	flags := flag.NewFlagSet("noren-test-kube", flag.ExitOnError)
	dir := flags.String("dir", "", "work `directory` for data, keys and the kubeconfig; made if absent (required)")
	removeDir := flags.Bool("remove-dir", false, "remove the work directory, with all it holds, after a clean shutdown")
	_ = flags.Parse(os.Args[1:]) // ExitOnError: Parse does not return an error.

	if err := serveAndClean(*dir, *removeDir); err != nil {
		fmt.Fprintln(os.Stderr, "noren-test-kube:", err)
		os.Exit(1)
	}
}

// serveAndClean serves from dir until told to stop, then removes dir if asked.
func serveAndClean(dir string, removeDir bool) error {
	if dir == "" {
		return errors.New("no work directory: pass --dir DIR")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("resolve --dir: %w", err)
	}
	ctx, stop := lifetime(os.Stdin)
	defer stop()
	exitWhenStuck(ctx)

	if err := serve(ctx, dir, os.Stdout); err != nil {
		return err
	}
	if removeDir {
		return os.RemoveAll(dir)
	}
	return nil
}

// serve runs etcd and the API server from dir until ctx ends, and writes the
// ready line to stdout in between.
func serve(ctx context.Context, dir string, stdout io.Writer) error {
	creds, err := newCredentials(dir)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(filepath.Join(dir, "etcd"))
	if err != nil {
		return err
	}
	defer etcd.Close()
	server, err := newAPIServer(ctx, creds, etcdURL(etcd))
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return app.Run(ctx, server.options) })
	group.Go(func() error { return etcdFailure(ctx, etcd) })
	group.Go(func() error { return announce(ctx, server, creds, stdout) })
	return group.Wait()
}

// announce writes the kubeconfig, waits until the server is ready, and then
// writes the ready line to stdout.
func announce(ctx context.Context, server *apiServer, creds *credentials, stdout io.Writer) error {
	path, err := creds.writeKubeconfig(server.url)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, path); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(ready{URL: server.url, Kubeconfig: path})
}

// exitWhenStuck ends the process when a shutdown begun by ctx takes too long.
func exitWhenStuck(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		time.AfterFunc(stopTimeout, func() {
			fmt.Fprintln(os.Stderr, "noren-test-kube: shutdown took longer than", stopTimeout)
			os.Exit(1)
		})
	})
}
