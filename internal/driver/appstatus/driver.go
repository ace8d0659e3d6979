// Package appstatus writes the status document that mobile apps read at launch
// (package internal/appstatus), into a file, a ConfigMap or a bucket of S3: whole,
// in one step. A closing says there that its services are closed before customers
// are shut out, and that they are open once customers are let in again.
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
	"github.com/noren-dev/noren/internal/awsclient/awsstatus"
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
		// Who noren is in AWS is taken as a whole, or not at all.
		driver.Borrows[*conn]("aws", "s3", []string{"region"}, []string{"endpoint"}, []string{"profile", "role", "external_id", "account"}),
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

func connect(ctx context.Context, cfg Config, env driver.Env) (*conn, error) {
	now := env.Now
	if now == nil {
		now = time.Now
	}
	c := &conn{cfg: cfg, env: env.Name, now: now, place: &file{path: cfg.File, env: env.Name, replace: replace}}
	if cfg.S3 != nil {
		return c.inBucket(ctx, env)
	}
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

// inBucket makes an object of S3 the place of the document.
func (c *conn) inBucket(ctx context.Context, env driver.Env) (*conn, error) {
	at := awsstatus.Config{AWS: c.cfg.S3.Config, Bucket: c.cfg.S3.Bucket, Key: c.cfg.S3.Key}
	if c.cfg.CloudFront != nil {
		at.Distribution, at.Path = c.cfg.CloudFront.Distribution, c.cfg.path()
	}
	store, err := awsstatus.Open(ctx, at, env)
	if err != nil {
		return nil, err
	}
	c.place = &bucket{store: store, env: env.Name, url: c.cfg.URL, front: c.cfg.CloudFront != nil, http: visitor(), fresh: func() *appstatus.Document { return c.written(c.fresh()) }}
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
