// Package testaws gives tests a moto_server, which speaks the wire format of
// AWS's services and keeps what they are told. It enforces few of their limits,
// and nothing listens on its load balancers.
//
// Install it once with `make test-tools`.
package testaws

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	serverBinary  = "moto_server"
	installScript = "test/moto/install.sh"
	// startTimeout bounds the start. An idle machine needs about five seconds.
	startTimeout = 2 * time.Minute
	// Region is the one that tests work in.
	Region = "us-east-1"
	// Account is the only account of moto.
	Account = "123456789012"
)

// A Server is a running moto_server.
type Server struct {
	// Endpoint is the address of every service: "http://127.0.0.1:PORT".
	Endpoint string
}

var listening = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)

// Start runs a server for this test, empty, and points the credentials of this
// process at it: a test that calls it cannot be parallel. It ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	Isolate(t)
	s, stop, err := Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// Run runs a server, empty, until it is stopped or the context ends.
func Run(ctx context.Context) (s *Server, stop func(), err error) {
	path, err := exec.LookPath(serverBinary)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not in PATH: run make test-tools, and put what %s prints in PATH", serverBinary, installScript)
	}
	// Port 0 lets the system choose one, which the server prints.
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", "0")
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = writer.Close()
	}
	endpoint, err := endpointOf(reader)
	if err == nil {
		s = &Server{Endpoint: endpoint}
		err = s.waitReady(ctx)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return s, stop, nil
}

// Isolate keeps the credentials and profiles of whoever runs the test out, and
// gives this process some that every emulator takes: a test that calls it cannot
// be parallel.
func Isolate(t testing.TB) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_REGION", Region)
}

// endpointOf reads the address that the server prints, and goes on reading, so
// that the server is never held up.
func endpointOf(log io.Reader) (string, error) {
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, log)
	}()
	select {
	case endpoint := <-found:
		return endpoint, nil
	case <-time.After(startTimeout):
		return "", fmt.Errorf("moto_server did not start within %s", startTimeout)
	}
}

// waitReady waits until the server answers.
func (s *Server) waitReady(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/moto-api/data.json", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		var refused *net.OpError
		if !errors.As(err, &refused) || time.Now().After(deadline) {
			return fmt.Errorf("moto_server does not answer: %w", err)
		}
	}
}

// Section is the section aws of an environment that is this server, as YAML.
func (s *Server) Section() string {
	return fmt.Sprintf("{region: %s, endpoint: %q}", Region, s.Endpoint)
}
