package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// A client talks to one gate's admin address.
type client struct {
	env, admin, token string
	http              *http.Client
}

// errMoved means that the door was closed or opened by someone else between
// our reading and our writing.
var errMoved = errors.New("door has moved")

// target names a door of this environment's gate: "gate:prod/door/web".
func (c *client) target(door string) string { return fmt.Sprintf("gate:%s/door/%s", c.env, door) }

func (c *client) gate(ctx context.Context) (gateapi.Gate, error) {
	var g gateapi.Gate
	_, err := c.call(ctx, request{method: http.MethodGet, path: "/v1/doors"}, &g)
	return g, err
}

// door reads a door and the tag of its closing.
func (c *client) door(ctx context.Context, name string) (d gateapi.Door, tag string, err error) {
	tag, err = c.call(ctx, request{method: http.MethodGet, path: "/v1/doors/" + url.PathEscape(name), door: name}, &d)
	return d, tag, err
}

func (c *client) health(ctx context.Context, name string) (gateapi.Health, error) {
	var h gateapi.Health
	_, err := c.call(ctx, request{method: http.MethodGet, path: "/v1/doors/" + url.PathEscape(name) + "/health", door: name}, &h)
	return h, err
}

// turn closes a door, or opens it if to is nil, provided that its tag is still
// the one given; otherwise it returns errMoved.
func (c *client) turn(ctx context.Context, name, tag string, to *gateapi.Closed) error {
	r := request{method: http.MethodDelete, path: "/v1/doors/" + url.PathEscape(name) + "/closing", door: name, match: tag}
	if to != nil {
		raw, err := json.Marshal(to)
		if err != nil {
			return fmt.Errorf("closing of door %s: %w", name, err)
		}
		r.method, r.body = http.MethodPut, raw
	}
	_, err := c.call(ctx, r, nil)
	return err
}

// A request is one call of the admin API. door is named in errors.
type request struct {
	method, path, door, match string
	body                      []byte
}

func (c *client) call(ctx context.Context, r request, into any) (tag string, err error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.admin+r.path, bytes.NewReader(r.body))
	if err != nil {
		return "", fmt.Errorf("gate at %s: %w", c.admin, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if r.match != "" {
		req.Header.Set("If-Match", r.match)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return "", c.lost(ctx, r, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return "", c.lost(ctx, r, err)
	}
	if res.StatusCode/100 != 2 {
		return "", c.refused(r, res.StatusCode, raw)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			return "", c.stranger(r, fmt.Sprintf("answered with something else than a gate does: %v", err))
		}
	}
	return res.Header.Get("ETag"), nil
}

// answerLimit bounds what is read of an answer: all doors of a large gate,
// each with a page and a mark.
const answerLimit = 256 << 20

// what names the thing that an error is about.
func (c *client) what(r request) string {
	if r.door == "" {
		return "the gate at " + c.admin
	}
	return "door " + r.door + " of the gate at " + c.admin
}

// lost is the error of a call without an answer. Whoever cancelled the call
// knows it; everything else may be tried again.
func (c *client) lost(ctx context.Context, r request, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", c.what(r), err)
	}
	return &fault.Fault{Code: fault.Unavailable, Summary: "gate does not answer",
		Detail: fmt.Sprintf("No answer from %s. Is the gate running, and is this its admin address?", c.what(r)),
		Err:    fmt.Errorf("%w: %w", action.ErrUnavailable, err)}
}

func (c *client) stranger(r request, how string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "not a gate's admin address",
		Detail: fmt.Sprintf("%s %s. Give the gate's admin URL as admin in the section gate of the environment's drivers.", c.what(r), how)}
}

// refused is the error of a call that was answered and not done.
func (c *client) refused(r request, status int, raw []byte) error {
	var p gateapi.Problem
	if json.Unmarshal(raw, &p) != nil || p.Status != status {
		p = gateapi.Problem{}
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &fault.Fault{Code: fault.Denied, Summary: "gate refuses the token",
			Detail: fmt.Sprintf("%s does not accept noren's token (status %d). Take the token from admin.token in the gate's state directory.", c.what(r), status)}
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w", c.what(r), errMoved)
	case status == http.StatusNotFound && p.Doors != nil:
		return c.noSuchDoor(r.door, p.Doors)
	case status >= http.StatusInternalServerError:
		return &fault.Fault{Code: fault.Unavailable, Summary: "gate could not do it",
			Detail: fmt.Sprintf("%s answered with status %d. %s", c.what(r), status, p.Detail), Err: action.ErrUnavailable}
	case p.Detail == "":
		return c.stranger(r, fmt.Sprintf("answered with status %d", status))
	default:
		return &fault.Fault{Code: fault.Invalid, Summary: "gate refuses the closing",
			Detail: fmt.Sprintf("%s answered with status %d. %s", c.what(r), status, p.Detail)}
	}
}

// byHand opens a door without noren's records: the last resort where they are
// lost.
func (c *client) byHand(door string) string {
	at := c.admin + "/v1/doors/" + url.PathEscape(door)
	return "# TOKEN is in admin.token of the gate's state directory\n" +
		`TAG=$(curl -sSI -H "Authorization: Bearer $TOKEN" '` + at + `' | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p')` + "\n" +
		`curl -sS -X DELETE -H "Authorization: Bearer $TOKEN" -H "If-Match: $TAG" '` + at + `/closing'`
}

func (c *client) noSuchDoor(name string, known []string) error {
	f := &fault.Fault{Code: fault.NotFound, Summary: "no such door",
		Detail: fmt.Sprintf("The gate at %s has no door %q. It has: %s.", c.admin, name, strings.Join(known, ", "))}
	if near := fault.Nearest(name, known); near != "" {
		f.Detail += fmt.Sprintf(" Did you mean %s?", near)
	}
	return f
}
