// Package testmonitors is monitoring systems for tests: a real Alertmanager, and
// servers that play the vendors' APIs and refuse what those would refuse, by what
// the vendors have written of them. It is no part of noren.
package testmonitors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// An Alertmanager is a process of the real thing, which calls nobody.
type Alertmanager struct {
	URL string
	cmd *exec.Cmd
	out bytes.Buffer
}

// config has one receiver that does nothing.
const config = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"

// StartAlertmanager starts one with its data in dir, and waits until it is ready.
// tools/packages.sh installs it.
func StartAlertmanager(ctx context.Context, dir string) (*Alertmanager, error) {
	path, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		if path, err = exec.LookPath("alertmanager"); err != nil {
			return nil, errors.New("there is no Alertmanager here: run tools/packages.sh")
		}
	}
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	a := &Alertmanager{URL: "http://" + address}
	a.cmd = exec.CommandContext(context.WithoutCancel(ctx), path, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--cluster.listen-address=")
	a.cmd.Stdout, a.cmd.Stderr = &a.out, &a.out
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- a.cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if a.ready(ctx) {
			return a, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), a.Stop())
		case err := <-ended:
			return nil, fmt.Errorf("alertmanager ended: %w\n%s", err, &a.out)
		case <-tick.C:
		}
	}
}

func (a *Alertmanager) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+"/-/ready", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Stop ends it.
func (a *Alertmanager) Stop() error { return a.cmd.Process.Kill() }

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
