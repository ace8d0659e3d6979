// Package slack tells a Slack channel of runs: one message for each run, changed
// as the run goes on, with what happened in its thread.
//
// Sources: https://docs.slack.dev/reference/methods/chat.postMessage,
// …/chat.update, …/conversations.history,
// https://docs.slack.dev/apis/web-api/rate-limits.
package slack

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config is the section slack of an environment.
type Config struct {
	vendorhttp.Access
	Channel string `json:"channel" jsonschema:"required,example=C0123456789" jsonschema_description:"The channel's id, from its details in Slack; not its name."`
	URL     string `json:"url,omitempty" jsonschema_description:"Where Slack's methods are. By default https://slack.com/api."`
}

const (
	slackURL   = "https://slack.com/api"
	usualToken = "SLACK_TOKEN"
)

// channelForm is that of an id. A message is changed by id only.
var channelForm = regexp.MustCompile(`^[CGD][A-Z0-9]{2,}$`)

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if !channelForm.MatchString(c.Channel) {
		return fmt.Errorf("channel: %q is no id of a channel, such as C0123456789: a name is not enough to change a message; the id is at the end of the channel's details", c.Channel)
	}
	return c.Access.Validate("url", cmp.Or(c.URL, slackURL))
}

// Address says who hears.
func (c Config) Address() string { return "Slack channel " + c.Channel }

// Driver returns the driver "slack".
func Driver() *driver.Driver {
	return driver.New("slack", "tells a Slack channel of runs: a message for each, with a thread", connect,
		driver.Checks("slack/channel.reachable", "Slack knows the token; nothing is posted", openReachable),
		driver.Hears(hear),
	)
}

type conn struct {
	cfg    Config
	client *vendorhttp.Client
	posted time.Time // when the last message was
}

func connect(_ context.Context, cfg Config, _ driver.Env) (*conn, error) {
	client, err := vendorhttp.New(vendorhttp.Options{System: "Slack", Base: cmp.Or(cfg.URL, slackURL), CAFile: cfg.CAFile,
		Keys: map[string]vendorhttp.Secret{"Authorization": {Prefix: "Bearer ", Key: cfg.Key(usualToken)}}})
	if err != nil {
		return nil, err
	}
	return &conn{cfg: cfg, client: client}, nil
}

// ReachableParams are the parameters of slack/channel.reachable: none.
type ReachableParams struct{}

type reachable struct{ c *conn }

func openReachable(c *conn, _ ReachableParams) (*reachable, error) { return &reachable{c}, nil }

// Target names the channel.
func (r *reachable) Target() string { return "slack:" + r.c.cfg.Channel }

// Check asks Slack who the token is.
func (r *reachable) Check(ctx context.Context) (action.Verdict, error) {
	var who struct {
		answer
		User, Team string
	}
	if err := r.c.call(ctx, "auth.test", "the token", map[string]any{}, &who); err != nil {
		return action.Verdict{}, err
	}
	return action.Verdict{OK: true, Summary: fmt.Sprintf("Slack knows the token as %s of %s", who.User, who.Team)}, nil
}
