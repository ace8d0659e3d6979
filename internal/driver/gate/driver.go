// Package gate closes the doors of noren's own gate (package internal/gate),
// over the gate's admin address.
package gate

import (
	"context"
	"net/http"

	"github.com/noren-dev/noren/internal/driver"
)

// Driver returns the driver "gate".
func Driver() *driver.Driver {
	return driver.New("gate", "doors of noren's own gate", connect,
		driver.Changes("gate/door.close", "Hang the closed page in front of a door of the gate", openClose),
		driver.Checks("gate/door.ready", "The application behind a door answers its health path", openReady),
		driver.Closes("gate/door", "A door of noren's own gate, by its name", openEntrance),
		driver.Discovers(discover),
		driver.FindsTraces(findTraces),
	)
}

func connect(_ context.Context, cfg Config, env driver.Env) (*client, error) {
	transport, err := cfg.transport()
	if err != nil {
		return nil, err
	}
	return newClient(cfg, env.Name, transport)
}

func newClient(cfg Config, env string, transport http.RoundTripper) (*client, error) {
	token, err := cfg.token()
	if err != nil {
		return nil, err
	}
	return &client{
		env:   env,
		admin: cfg.admin(),
		token: token,
		http: &http.Client{
			Transport: transport,
			// A gate never sends anyone elsewhere, and the token stays here.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}
