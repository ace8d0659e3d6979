// Package alertmanager keeps alerts quiet by silences of Prometheus Alertmanager,
// or of the one that Grafana manages. See package mute for how.
package alertmanager

import (
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Driver returns the driver "alertmanager".
func Driver() *driver.Driver {
	return driver.New("alertmanager", "silences alerts in Alertmanager, or in Grafana's", mute.Connect(kind(), openBook),
		driver.Changes("alertmanager/silence.mute", "A silence keeps alerts quiet until its end", mute.Open[What]),
		driver.Mutes("alertmanager/silence", "Alerts, by matchers of their labels; the name is one of your own", kind().Open),
		driver.FindsTraces(mute.Traces[What]),
	)
}

func kind() mute.Kind[Options, What] {
	return mute.Kind[Options, What]{What: Options.what, Words: mute.Words{Driver: "alertmanager", Word: "silence", Seen: "silences"}}
}

func openBook(cfg Config, _ driver.Env) (mute.Book[What], error) {
	o := vendorhttp.Options{System: "Alertmanager", Base: cfg.URL, CAFile: cfg.CAFile,
		Keys: map[string]vendorhttp.Secret{"Authorization": {Prefix: "Bearer ", Key: cfg.Key("")}}}
	if cfg.Org != 0 {
		o.Headers = map[string]string{"X-Grafana-Org-Id": strconv.Itoa(cfg.Org)}
	}
	client, err := vendorhttp.New(o)
	if err != nil {
		return nil, err
	}
	return &book{client, strings.TrimSuffix(cfg.URL, "/")}, nil
}
