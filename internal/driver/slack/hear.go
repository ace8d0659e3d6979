package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// pace is the time between messages: Slack takes about one a second in a channel.
const pace = 1100 * time.Millisecond

// hear brings the run's message up to date, and tells in its thread what
// happened. The handle is the message's timestamp, which is its id.
func hear(ctx context.Context, c *conn, h driver.Hearing) error {
	if e := h.Earlier; e != nil {
		if err := c.update(ctx, e.Handle, e.Story); err != nil && !replaced(err) {
			return err
		}
	}
	before := h.Notices[0].Seq - 1
	ts, fresh := h.Handle, false
	if ts == "" && h.Again {
		ts = c.find(ctx, h)
	}
	if ts != "" {
		err := c.update(ctx, ts, h.Story)
		if replaced(err) {
			ts, err = "", nil
		}
		if err != nil {
			return err
		}
	}
	if ts == "" {
		var err error
		if ts, err = c.post(ctx, message(h.Story), map[string]any{"metadata": c.meta(h.Story.Run, 0)}); err != nil {
			return err
		}
		fresh = true
	}
	if ts != h.Handle {
		if err := h.Keep(ctx, before, ts); err != nil {
			return err
		}
	}
	notices := h.Notices
	if h.Again && !fresh {
		told := c.toldUpto(ctx, ts, h.Story.Run)
		notices = slices.DeleteFunc(slices.Clone(notices), func(n driver.Notice) bool { return n.Seq <= told })
	}
	// The message itself says that the run has begun.
	notices = slices.DeleteFunc(slices.Clone(notices), func(n driver.Notice) bool { return n.Kind == driver.NoticeStarted })
	if len(notices) > 0 {
		extra := map[string]any{"thread_ts": ts, "metadata": c.meta(h.Story.Run, h.Last())}
		if slices.ContainsFunc(notices, func(n driver.Notice) bool { return n.Loud }) {
			extra["reply_broadcast"] = true // a thread is seen by nobody who does not open it
		}
		if _, err := c.post(ctx, reply(notices, h.Story), extra); err != nil {
			return err
		}
	}
	return h.Keep(ctx, h.Last(), ts)
}

// eventType names the metadata of noren's messages.
const eventType = "noren_run"

type metadata struct {
	Type    string  `json:"event_type"`
	Payload payload `json:"event_payload"`
}

// A payload says whose message it is, and how far it tells: by it, a noren that
// carries on knows what another has posted.
type payload struct {
	Run  string `json:"run"`
	Upto string `json:"upto"`
}

func (c *conn) meta(run string, upto int64) metadata {
	return metadata{eventType, payload{run, strconv.FormatInt(upto, 10)}}
}

// post posts a message and returns its timestamp.
func (c *conn) post(ctx context.Context, m map[string]any, extra map[string]any) (string, error) {
	if err := c.wait(ctx); err != nil {
		return "", err
	}
	m["channel"], m["unfurl_links"], m["unfurl_media"] = c.cfg.Channel, false, false
	for k, v := range extra {
		m[k] = v
	}
	var posted struct {
		answer
		TS string `json:"ts"`
	}
	err := c.call(ctx, "chat.postMessage", "a message in "+c.cfg.Channel, m, &posted)
	return posted.TS, err
}

// wait keeps the pace.
func (c *conn) wait(ctx context.Context) error {
	timer := time.NewTimer(time.Until(c.posted.Add(pace)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		c.posted = time.Now()
		return nil
	}
}

func (c *conn) update(ctx context.Context, ts string, s driver.Story) error {
	m := message(s)
	m["channel"], m["ts"], m["metadata"] = c.cfg.Channel, ts, c.meta(s.Run, 0)
	return c.call(ctx, "chat.update", "the message of run "+s.Run, m, &answer{})
}

// replaced tells whether a message cannot be changed any more: somebody deleted
// it, or the workspace forbids changes after a while.
func replaced(err error) bool {
	var no *refused
	return errors.As(err, &no) && slices.Contains([]string{"message_not_found", "cant_update_message", "edit_window_closed"}, no.code)
}

// listed are messages as Slack lists them.
type listed struct {
	answer
	Messages []struct {
		TS       string   `json:"ts"`
		Metadata metadata `json:"metadata"`
	} `json:"messages"`
}

// find looks for a message of the run that an earlier process posted and did not
// record. Without the scope to read the channel there is none: it is posted again.
func (c *conn) find(ctx context.Context, h driver.Hearing) string {
	var l listed
	query := url.Values{"channel": {c.cfg.Channel}, "oldest": {strconv.FormatInt(h.Story.Since.Unix()-60, 10)}, "limit": {"200"}, "include_all_metadata": {"true"}}
	if c.get(ctx, "conversations.history", query, &l) != nil {
		return ""
	}
	for _, m := range l.Messages {
		if m.Metadata.Type == eventType && m.Metadata.Payload.Run == h.Story.Run && m.Metadata.Payload.Upto == "0" {
			return m.TS
		}
	}
	return ""
}

// toldUpto is how far the thread tells, as far as noren may read it.
func (c *conn) toldUpto(ctx context.Context, ts, run string) (upto int64) {
	var l listed
	query := url.Values{"channel": {c.cfg.Channel}, "ts": {ts}, "limit": {"200"}, "include_all_metadata": {"true"}}
	if c.get(ctx, "conversations.replies", query, &l) != nil {
		return 0
	}
	for _, m := range l.Messages {
		if n, err := strconv.ParseInt(m.Metadata.Payload.Upto, 10, 64); err == nil && m.Metadata.Payload.Run == run {
			upto = max(upto, n)
		}
	}
	return upto
}

// An answer is what all of Slack's have: it says in the body whether it is one.
type answer struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error"`
	Needed string `json:"needed"`
}

func (a *answer) refusal() *answer { return a }

type answering interface{ refusal() *answer }

func (c *conn) call(ctx context.Context, method, what string, body map[string]any, into answering) error {
	if err := c.client.Call(ctx, vendorhttp.Request{Method: http.MethodPost, Path: "/" + method, Body: body, What: what}, into); err != nil {
		return err
	}
	return c.judge(into.refusal(), what)
}

func (c *conn) get(ctx context.Context, method string, query url.Values, into answering) error {
	if err := c.client.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/" + method, Query: query, What: c.cfg.Channel}, into); err != nil {
		return err
	}
	return c.judge(into.refusal(), c.cfg.Channel)
}

// refused is an answer that is none, by Slack's word for it.
type refused struct{ code string }

func (r *refused) Error() string { return r.code }

// advice is what to do about Slack's words.
func (c *conn) advice(a *answer) string {
	switch a.Error {
	case "not_in_channel":
		return "Invite the app into the channel: /invite @its-name."
	case "channel_not_found":
		return "Is the id right, and the app of this workspace? Into a private channel it must be invited."
	case "is_archived":
		return "The channel is archived."
	case "missing_scope":
		return "The app lacks the scope " + a.Needed + ": add it under OAuth & Permissions and install the app again."
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired":
		return "noren's token is in " + c.cfg.Key(usualToken).String() + "; it is to be a bot token (xoxb-…) of this workspace."
	}
	return ""
}

func (c *conn) judge(a *answer, what string) error {
	if a.OK {
		return nil
	}
	f := &fault.Fault{Code: fault.Denied, Summary: "Slack refuses it", Detail: fmt.Sprintf("Slack about %s: %s. %s", what, a.Error, c.advice(a)), Err: &refused{a.Error}}
	if slices.Contains([]string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}, a.Error) {
		f.Code, f.Err = fault.Unavailable, fmt.Errorf("%w: %w", action.ErrUnavailable, f.Err)
	}
	return f
}
