package testkube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// startTimeout bounds the start of a server. An idle machine needs about
	// three seconds; one that builds and tests other packages, far more.
	startTimeout = 2 * time.Minute
	// stopTimeout bounds its stop, after which it is killed.
	stopTimeout = 30 * time.Second

	serverBinary  = "noren-test-kube"
	installScript = "test/kubeserver/install.sh"
	logTailLines  = 20
)

// process is a running noren-test-kube. It ends when stdin is closed, which
// the operating system does when the test process dies.
type process struct {
	cmd        *exec.Cmd
	stdin      io.Closer
	kubeconfig string
}

// launch starts the server that lies in tools and waits until it is ready.
// The server itself removes its work folder when it ends.
func launch(tools string) (*process, error) {
	dir, err := os.MkdirTemp("", "noren-test-kube-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()

	cmd := exec.Command(filepath.Join(tools, serverBinary), "--dir", dir, "--remove-dir")
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the test API server: %w", err)
	}
	p := &process{cmd: cmd, stdin: stdin}
	if err := p.readReady(stdout); err != nil {
		return nil, fmt.Errorf("the test API server did not get ready: %w; the end of its log %s:\n%s",
			err, log.Name(), tail(log.Name()))
	}
	return p, nil
}

// readReady reads the line that the server prints once it is ready. It kills
// the server if none comes in time.
func (p *process) readReady(stdout io.Reader) error {
	timer := time.AfterFunc(startTimeout, p.kill)
	defer timer.Stop()
	var ready struct{ Kubeconfig string }
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		p.kill()
		return errors.Join(err, p.cmd.Wait())
	}
	p.kubeconfig = ready.Kubeconfig
	return nil
}

// stop asks the server to end, and waits until it did.
func (p *process) stop() error {
	timer := time.AfterFunc(stopTimeout, p.kill)
	defer timer.Stop()
	return errors.Join(p.stdin.Close(), p.cmd.Wait())
}

// kill ends the server at once. One that has ended already is no error.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
}

// toolsDir returns the folder into which install.sh put the server and the
// CRDs.
func toolsDir() (string, error) {
	script, err := findUpwards(installScript)
	if err != nil {
		return "", err
	}
	out, err := exec.Command("bash", script, "--where").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s where the test API server is: %w", script, err)
	}
	dir := strings.TrimSpace(string(out))
	if _, err := os.Stat(filepath.Join(dir, serverBinary)); err != nil {
		return "", fmt.Errorf("the test API server is not built: run `make test-tools` (%w)", err)
	}
	return dir, nil
}

// findUpwards looks for the file name in the working directory, which for a
// test is the folder of its package, and in the folders above it.
func findUpwards(name string) (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no %s above %s: run the test inside the noren source tree", name, start)
		}
	}
}

// tail returns the last lines of a file, or why it cannot be read.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-logTailLines):], "\n")
}
