// Package webhook tells receivers of runs: each notice is a CloudEvent, posted to
// a URL and signed as Standard Webhooks says, so that a receiver can tell that it
// came from noren, when, and whether it has had it before.
//
// Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
// (structured mode of the HTTP binding), https://www.standardwebhooks.com.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config is the section webhook of an environment.
type Config struct {
	URL        string `json:"url" jsonschema:"required,example=https://hooks.example.com/noren" jsonschema_description:"Where events are posted: https."`
	SecretEnv  string `json:"secret_env,omitempty" jsonschema:"example=NOREN_WEBHOOK_SECRET" jsonschema_description:"The environment variable that holds the secret with which they are signed: whsec_ and 24 to 64 bytes in base64."`
	SecretFile string `json:"secret_file,omitempty" jsonschema_description:"The file that holds the secret instead, on one line."`
}

// Pin makes the path absolute.
func (c *Config) Pin(dir string) error {
	driver.Absolute(dir, &c.SecretFile)
	return nil
}

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if err := vendorhttp.CheckURL("url", c.URL, true); err != nil {
		return err
	}
	switch {
	case c.SecretEnv == "" && c.SecretFile == "":
		return errors.New("secret_env: name the environment variable that holds the secret, or give secret_file: receivers must know that an event is noren's")
	case c.SecretEnv != "" && c.SecretFile != "":
		return errors.New("secret_file and secret_env are both given; keep one")
	}
	return nil
}

// Address says who hears.
func (c Config) Address() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "a webhook"
	}
	return "the webhook at " + u.Host
}

func (c Config) key() vendorhttp.Key {
	return vendorhttp.Key{Env: c.SecretEnv, File: c.SecretFile, Names: [2]string{"secret_env", "secret_file"}}
}

// Driver returns the driver "webhook".
func Driver() *driver.Driver {
	return driver.New("webhook", "tells a receiver of runs by signed CloudEvents", connect,
		driver.Checks("webhook/receiver.ready", "The secret for signing events is there; the receiver is not asked", openReady),
		driver.Hears(hear),
	)
}

type conn struct {
	cfg    Config
	env    string
	now    func() time.Time
	secret []byte
	http   *http.Client
}

// callPatience bounds one post: receivers are to answer first and work later.
const callPatience = 10 * time.Second

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	secret, err := readSecret(cfg.key())
	if err != nil {
		return nil, err
	}
	now := env.Now
	if now == nil {
		now = time.Now
	}
	return &conn{cfg: cfg, env: env.Name, now: now, secret: secret, http: &http.Client{
		Timeout: callPatience,
		// A signed event goes nowhere but where the file says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// ReadyParams are the parameters of webhook/receiver.ready: none.
type ReadyParams struct{}

type ready struct{ c *conn }

func openReady(c *conn, _ ReadyParams) (*ready, error) { return &ready{c}, nil }

// Target names the receiver.
func (r *ready) Target() string { return "webhook:" + r.c.cfg.URL }

// Check is passed by whoever could connect: an event is nothing to try out on a
// receiver.
func (r *ready) Check(context.Context) (action.Verdict, error) {
	return action.Verdict{OK: true, Summary: fmt.Sprintf("%s is told; whether it answers was not asked", r.c.cfg.URL)}, nil
}
