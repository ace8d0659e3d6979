// Package appstatus writes the status document that mobile apps read at launch
// (package internal/appstatus): a file, put in place of the one before in one
// step, in which a closing marks its services as closed before customers are
// shut out, and as open once they are let in again.
//
// Of each service, the state is its closing; there is none while it is open. The
// document's other parts are the state of a change of their own, which noren
// appstatus publish makes. Marks are in a file beside the document, since the
// document is public and they name people.
package appstatus

import (
	"context"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/driver"
)

// Driver returns the driver "appstatus".
func Driver() *driver.Driver {
	return driver.New("appstatus", "writes the status document that mobile apps read", connect,
		driver.Changes("appstatus/service.tell", "The status document says that a service is closed, why and until when", openTell),
		driver.Changes("appstatus/document.publish", "The status document has the names, apps and announced windows of noren.yaml", openPublish),
		driver.Checks("appstatus/document.writable", "The status document can be written, and its disk has room", openWritable),
		driver.Tells("appstatus/document.publish", tell, shown),
		driver.FindsTraces(findTraces),
	)
}

// conn is the document of one environment.
type conn struct {
	cfg Config
	env string
	now func() time.Time
	// replace puts a file in the place of another; tests put a full disk here.
	replace func(path string, data []byte, keepMode bool) error

	mu sync.Mutex // held from reading the document to writing it
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	now := env.Now
	if now == nil {
		now = time.Now
	}
	return &conn{cfg: cfg, env: env.Name, now: now, replace: replace}, nil
}

func (c *conn) target(what string) string { return "appstatus:" + c.env + "/" + what }
