// Package alertmanager keeps alerts quiet by silences of Prometheus Alertmanager,
// or of the one that Grafana manages. See package mute for how.
package alertmanager

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Driver returns the driver "alertmanager".
func Driver() *driver.Driver {
	return driver.New("alertmanager", "silences alerts in Alertmanager, or in Grafana's", connect,
		driver.Changes("alertmanager/silence.mute", "A silence keeps alerts quiet until its end", openMute),
		driver.Mutes("alertmanager/silence", "Alerts, by matchers of their labels; the name is one of your own", openMonitor),
		driver.FindsTraces(func(ctx context.Context, c *conn) (*driver.Traces, error) { return c.system.Traces(ctx) }),
	)
}

type conn struct {
	book   *book
	system *mute.System[What]
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	o := vendorhttp.Options{System: "Alertmanager", Base: cfg.URL, CAFile: cfg.CAFile,
		Keys: map[string]vendorhttp.Secret{"Authorization": {Prefix: "Bearer ", Key: cfg.Key("")}}}
	if cfg.Org != 0 {
		o.Headers = map[string]string{"X-Grafana-Org-Id": strconv.Itoa(cfg.Org)}
	}
	client, err := vendorhttp.New(o)
	if err != nil {
		return nil, err
	}
	b := &book{http: client}
	return &conn{b, &mute.System[What]{Book: b, Driver: "alertmanager", Env: env.Name, Word: "silence", Seen: "silences",
		Action: "alertmanager/silence.mute", Now: env.Clock(), ByHand: func(e mute.Entry[What]) string {
			return fmt.Sprintf("curl -X DELETE %s/api/v2/silence/%s     # %s", strings.TrimSuffix(cfg.URL, "/"), e.ID, strings.Join(e.What.Matchers, ", "))
		}}}, nil
}

func openMute(c *conn, p mute.Params[What]) (driver.Typed[mute.State[What]], error) {
	return c.system.Open(p), nil
}

func openMonitor(c *conn, name string, o Options) (driver.Monitor, error) {
	w, err := o.what()
	if err != nil {
		return nil, err
	}
	return &mute.RingingMonitor[What]{Monitor: mute.Monitor[What]{System: c.system, Name: name, What: w},
		Rings: func(ctx context.Context) ([]driver.Ring, error) { return c.book.rings(ctx, w) }}, nil
}
