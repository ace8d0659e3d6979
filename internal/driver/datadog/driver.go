// Package datadog keeps Datadog's monitors quiet by downtimes. See package mute
// for how.
package datadog

import (
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Driver returns the driver "datadog".
func Driver() *driver.Driver {
	return driver.New("datadog", "mutes monitors of Datadog by downtimes", mute.Connect(kind(), openBook),
		driver.Changes("datadog/downtime.mute", "A downtime keeps monitors quiet until its end", mute.Open[What]),
		driver.Mutes("datadog/downtime", "One monitor by its number, or several by their tags; the name is one of your own", kind().Open),
		driver.FindsTraces(mute.Traces[What]),
	)
}

func kind() mute.Kind[Options, What] {
	return mute.Kind[Options, What]{What: Options.what, Words: mute.Words{Driver: "datadog", Word: "downtime", Seen: "downtimes",
		// An @ in a message would call whoever is named after it.
		Forbidden: "@{}"}}
}

func openBook(cfg Config, _ driver.Env) (mute.Book[What], error) {
	client, err := vendorhttp.New(vendorhttp.Options{System: "Datadog", Base: cfg.base(), Keys: cfg.keys()})
	if err != nil {
		return nil, err
	}
	return &book{client, cfg.base()}, nil
}
