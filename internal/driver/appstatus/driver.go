// Package appstatus writes the status document that mobile apps read at launch
// (package internal/appstatus), into a file or a ConfigMap: whole, in one step,
// a closing says there that its services are closed before customers are shut
// out, and that they are open once customers are let in again.
//
// Of each service, the state is its closing; there is none while it is open. The
// document's other parts are the state of a change of their own, which noren
// appstatus publish makes. Marks are beside the document and not in it, since the
// document is public and they name people.
package appstatus

import (
	"context"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubestatus"
)

// Driver returns the driver "appstatus".
func Driver() *driver.Driver {
	return driver.New("appstatus", "writes the status document that mobile apps read", connect,
		driver.Changes("appstatus/service.tell", "The status document says that a service is closed, why and until when", openTell),
		driver.Changes("appstatus/document.publish", "The status document has the names, apps and announced windows of noren.yaml", openPublish),
		driver.Checks("appstatus/document.writable", "The status document can be written, and its disk has room", openWritable),
		driver.Tells("appstatus/document.publish", tell, shown),
		driver.FindsTraces(findTraces),
		driver.Inherits[*conn]("kube", "kubeconfig", "context"),
		driver.AsksPermission(func(ctx context.Context, c *conn, need []action.Permission) ([]driver.Refusal, error) {
			if m, ok := c.place.(*configMap); ok {
				return m.client.Refusals(ctx, need)
			}
			return nil, nil
		}),
	)
}

// conn is the document of one environment.
type conn struct {
	cfg   Config
	env   string
	now   func() time.Time
	place place
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	now := env.Now
	if now == nil {
		now = time.Now
	}
	c := &conn{cfg: cfg, env: env.Name, now: now, place: &file{path: cfg.File, env: env.Name, replace: replace}}
	if cfg.ConfigMap == "" {
		return c, nil
	}
	client, err := kubeclient.New(kubeclient.Config{Kubeconfig: cfg.Kubeconfig, Context: cfg.Context})
	if err != nil {
		return nil, err
	}
	namespace, name, _ := strings.Cut(cfg.ConfigMap, "/")
	c.place = &configMap{client: client, ref: kubestatus.Ref{Namespace: namespace, Name: name}, env: env.Name}
	return c, nil
}

// fresh is the document where there is none: nothing is closed.
func (c *conn) fresh() *appstatus.Document {
	d := &appstatus.Document{Schema: appstatus.Schema, Status: appstatus.Operational, Services: map[string]appstatus.Service{}}
	c.cfg.static().into(d)
	return d
}

// written is a document that is about to be written.
func (c *conn) written(d *appstatus.Document) *appstatus.Document {
	d.Updated = c.now().UTC().Truncate(time.Second)
	return d
}

func (c *conn) target(what string) string { return "appstatus:" + c.env + "/" + what }
