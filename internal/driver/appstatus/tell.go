package appstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// TellParams are the parameters of appstatus/service.tell.
type TellParams struct {
	Service string            `json:"service" jsonschema_description:"The service, as noren.yaml names it."`
	Closing appstatus.Closing `json:"closing" jsonschema_description:"What apps are told of its closing."`
}

// Validate finds what is missing without I/O.
func (p TellParams) Validate() error {
	if p.Service == "" || p.Closing.Since.IsZero() {
		return errors.New("service and closing.since are needed")
	}
	return nil
}

// Told is the state: what the document says of the service's closing. A service
// that is open, and one that the document does not have, has none.
type Told struct {
	Closing appstatus.Closing `json:"closing"`
}

// tellChange is the change appstatus/service.tell.
type tellChange struct {
	conn   *conn
	params TellParams
	mark   *action.Mark
}

func openTell(c *conn, p TellParams) (driver.Typed[Told], error) {
	return &tellChange{conn: c, params: p}, nil
}

// Target names the service in the document.
func (t *tellChange) Target() string { return t.conn.target(t.params.Service) }

// name is how people know it.
func (t *tellChange) name() string {
	return "service " + t.params.Service + " in the status document " + t.conn.place.String()
}

// Observe reads what the document says of the service.
func (t *tellChange) Observe(ctx context.Context) (*Told, error) {
	d, err := t.conn.place.read(ctx)
	if err != nil {
		return nil, err
	}
	return t.told(d), nil
}

func (t *tellChange) told(d *appstatus.Document) *Told {
	if d == nil || d.Services[t.params.Service].Closing == nil {
		return nil
	}
	told := &Told{Closing: *d.Services[t.params.Service].Closing}
	told.Closing.Overdue = false // of the moment, and not of the file
	return told
}

// Propose wants the closing of the parameters. A document that says already that
// the service is closed is not written over: opening would bring that back, and
// apps would hear for ever that it is closed.
func (t *tellChange) Propose(from *Told) (*Told, error) {
	wanted := &Told{Closing: t.params.Closing}
	if from != nil && !equal(from, wanted) {
		return nil, &fault.Fault{Code: fault.Locked, Summary: "apps hear already that the service is closed",
			Detail: fmt.Sprintf("%s says %s, which no run that holds it here has told: an opening could not take it back, another noren told it, or someone wrote it by hand. Bring it up to date first.", capital(t.name()), words(from)),
			Try:    []string{"noren appstatus publish --env " + t.conn.env, "noren leftovers --env " + t.conn.env}, Err: action.ErrDrift}
	}
	return wanted, nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Apply writes the service's part of the document, and its mark.
func (t *tellChange) Apply(ctx context.Context, from, to *Told) error {
	return t.conn.place.update(ctx, func(d *appstatus.Document, marks map[string]string) (edited, error) {
		now := t.told(d)
		if !equal(now, to) && !equal(now, from) {
			return edited{}, fmt.Errorf("%s says %s and should say %s: someone else changed it: %w", t.name(), words(now), words(from), action.ErrDrift)
		}
		e, err := t.remark(marks, to)
		if err != nil || equal(now, to) {
			return e, err
		}
		if d == nil {
			d = t.conn.fresh()
		}
		d.Close(t.params.Service, closingOf(to))
		e.document = t.conn.written(d)
		return e, nil
	})
}

// Settled implements driver.TypedWaiter: apps hear of it.
func (t *tellChange) Settled(ctx context.Context, want *Told) (action.Verdict, error) {
	return settled(ctx, t.conn.place, func(d *appstatus.Document) bool { return equal(t.told(d), want) })
}

// remark puts the mark there, or takes it away where the service comes back to
// what it was before the closing.
func (t *tellChange) remark(marks map[string]string, to *Told) (edited, error) {
	if t.mark == nil {
		return edited{}, nil
	}
	name := t.params.Service
	if t.isOrigin(to) {
		if _, there := marks[name]; !there {
			return edited{}, nil
		}
		delete(marks, name)
		return edited{marks: marks, marksLast: true}, nil
	}
	text, err := t.mark.Text()
	if err != nil || marks[name] == text {
		return edited{}, err
	}
	marks[name] = text
	return edited{marks: marks}, nil
}

// isOrigin tells whether a state is that before the closing whose mark this is.
func (t *tellChange) isOrigin(s *Told) bool {
	var from *Told
	if f := t.mark.Receipt.From.Fields; len(f) > 0 {
		from = &Told{}
		if json.Unmarshal(f, from) != nil {
			return s == nil
		}
	}
	return equal(s, from)
}

// Requires lists the permissions that the change needs.
func (t *tellChange) Requires() []action.Permission { return t.conn.place.requires() }

// Marked implements driver.TypedMarker.
func (t *tellChange) Marked(m action.Mark) driver.Typed[Told] {
	marked := *t
	marked.mark = &m
	return &marked
}

// Describe implements driver.TypedDescriber.
func (t *tellChange) Describe(from, to *Told) action.Description {
	d := action.Description{Line: "tell apps that " + t.params.Service + " is open", Before: yaml(from), After: yaml(to)}
	if to != nil {
		d.Line = "tell apps that " + t.params.Service + " is closed"
	}
	return d
}

func equal(a, b *Told) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := a.Closing, b.Closing
	if !x.Since.Equal(y.Since) || !x.Until.Equal(y.Until) {
		return false
	}
	x.Since, x.Until = y.Since, y.Until
	if len(x.Messages)+len(y.Messages) == 0 {
		x.Messages, y.Messages = nil, nil
	}
	return reflect.DeepEqual(x, y)
}

func closingOf(s *Told) *appstatus.Closing {
	if s == nil {
		return nil
	}
	c := s.Closing
	return &c
}

func words(s *Told) string {
	switch {
	case s == nil:
		return "open"
	case s.Closing.Until.IsZero():
		return "closed since " + s.Closing.Since.Format("15:04:05 MST")
	}
	return "closed until " + s.Closing.Until.Format("2006-01-02 15:04 MST")
}

// yaml shows a state to people.
func yaml(s *Told) string {
	if s == nil {
		return "status: operational\n"
	}
	c := s.Closing
	status := appstatus.Maintenance
	if c.Extent != "" {
		status = appstatus.Partial
	}
	out := fmt.Sprintf("status: %s\nsince: %s\n", status, c.Since.Format("2006-01-02T15:04:05Z07:00"))
	if !c.Until.IsZero() {
		out += fmt.Sprintf("until: %s\n", c.Until.Format("2006-01-02T15:04:05Z07:00"))
	}
	if c.Extent != "" {
		out += "extent: " + c.Extent + "\n"
	}
	if m := c.Messages[c.Lang]; m.Title != "" {
		out += fmt.Sprintf("title: %q\n", m.Title)
	}
	return out
}
