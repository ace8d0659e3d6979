// Package httpcheck asks front doors over HTTP what customers get: noren's
// closed page, the application, or something else. Its checks prove that an
// entrance is closed, that it is open again, and that the application is well.
//
// Every check asks every address of a URL's name, since the nodes of a load
// balancer take up a new rule at different moments, and asks several times in a
// row on new connections. One call is one look: the engine asks again until the
// verdict is OK.
//
// Requests go straight to the addresses. HTTP_PROXY and its kin are ignored on
// purpose: a proxy would choose the address, might cache the page, and would
// hide which node of the front door is behind the others. From a network that
// can only get out through a proxy, noren must run on another machine.
//
// Redirects are not followed: where a customer is sent first is the answer.
package httpcheck

import (
	"context"

	"github.com/noren-dev/noren/internal/driver"
)

// Driver returns the driver "http".
func Driver() *driver.Driver {
	return driver.New("http", "asks front doors over HTTP what customers get", connect,
		driver.Checks("http/closed", "every address of the URLs answers with this closing's page", openClosed),
		driver.Checks("http/healthy", "the health-check URLs pass, and none answers with noren's page", openHealthy),
		driver.Checks("http/reachable", "every address of the URLs can be connected to from here", openReachable),
		driver.Checks("http/staff", "who brings the pass reaches the application at every address of the URLs", openStaff),
		driver.Checks("http/open", "no address of the URLs answers with a page of noren's", openOpen),
	)
}

func connect(_ context.Context, cfg Config, _ driver.Env) (*prober, error) {
	return newProber(cfg)
}
