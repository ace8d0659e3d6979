package gate

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/fault"
)

// A certificate is a pair of files that is read again when one has changed, so
// that a renewed certificate needs no restart.
type certificate struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	stamp  [2]time.Time
}

// tlsConfig reads the pair, and fails now rather than at the first customer.
func tlsConfig(cert, key string) (*tls.Config, error) {
	c := &certificate{cert: cert, key: key}
	if _, err := c.get(nil); err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "certificate cannot be used",
			Detail: fmt.Sprintf("The gate cannot serve TLS with %s and %s.", cert, key), Err: err}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// get returns the pair as it is on disk, or the last that was right.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp := [2]time.Time{modified(c.cert), modified(c.key)}
	if c.loaded != nil && stamp == c.stamp {
		return c.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		if c.loaded != nil {
			return c.loaded, nil
		}
		return nil, err
	}
	c.loaded, c.stamp = &pair, stamp
	return c.loaded, nil
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
