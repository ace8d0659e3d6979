package appstatus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schema names the format and its version. A reader that finds another value
// reads what it understands and takes the rest for absent; a version is raised
// only when that would mislead.
const (
	Schema = family + "v1"
	family = "noren.app-status/"
)

// Path is where noren's servers answer with the document, at every host.
const Path = "/.well-known/noren/app-status.json"

// MaxSize is the largest document that is read or written, in bytes. Apps read
// it on the phone's network before they show anything.
const MaxSize = 256 << 10

// A Status says how much works.
type Status string

// The statuses. A reader that finds another takes it for Operational.
const (
	Operational Status = "operational"
	// Partial: of a service, only some requests are turned away, as Extent
	// says; of the whole, some services are closed and some are not.
	Partial     Status = "partial"
	Maintenance Status = "maintenance"
)

// A Document is what apps read. Times are UTC.
type Document struct {
	Schema string `json:"schema" jsonschema:"required,enum=noren.app-status/v1" jsonschema_description:"The format and its version."`
	Status Status `json:"status" jsonschema:"required" jsonschema_description:"operational: every service is; maintenance: every service is closed; partial: in between. Take a value that you do not know for operational."`
	// Updated is when noren last wrote the document.
	Updated  time.Time          `json:"updated" jsonschema:"required" jsonschema_description:"When the document was written last. It does not change while nothing changes."`
	Services map[string]Service `json:"services" jsonschema:"required" jsonschema_description:"The services that apps may know of, by the name that noren.yaml gives them."`
	Apps     map[string]App     `json:"apps,omitempty" jsonschema_description:"What is asked of apps, by platform, such as ios and android."`
	Upcoming []Window           `json:"upcoming,omitempty" jsonschema_description:"Planned work that is announced, the earliest first. A window is left out once its end has passed."`
}

// A Service is one service as apps see it.
type Service struct {
	Status Status `json:"status" jsonschema:"required" jsonschema_description:"operational, maintenance, or partial, where only some requests are turned away. Take a value that you do not know for operational."`
	// Name is what customers call it, by language.
	Name    map[string]string `json:"name,omitempty" jsonschema_description:"What customers call it, by language."`
	Closing *Closing          `json:"closing,omitempty" jsonschema_description:"Why, and until when. It is there unless the service is operational."`
}

// A Closing is what there is to say of a service that is closed.
type Closing struct {
	Since time.Time `json:"since" jsonschema:"required" jsonschema_description:"When the closing began."`
	// Until is the expected end, zero if nobody said.
	Until time.Time `json:"until,omitzero" jsonschema_description:"When it is expected to end. Left out if that is not known."`
	// Overdue is set by who serves the document, once Until has passed.
	Overdue bool `json:"overdue,omitempty" jsonschema_description:"The end has passed and the service is still closed. noren's own servers say so; behind another server, compare until with your clock."`
	// Extent is how much is closed, "" for all of it: read-only or paths.
	Extent string `json:"extent,omitempty" jsonschema_description:"read-only: requests that write are turned away; paths: some paths are. Left out: everything is."`
	// Lang is the main language of Messages, those of the closed page.
	Lang     string             `json:"lang,omitempty" jsonschema_description:"The language to show where messages has not the user's."`
	Messages map[string]Message `json:"messages,omitempty" jsonschema_description:"What the closed page says, by language."`
}

// A Message is what to tell people, in one language.
type Message struct {
	Title  string `json:"title,omitempty" jsonschema_description:"The title."`
	Detail string `json:"detail,omitempty" jsonschema_description:"The text, with line breaks."`
	Late   string `json:"late,omitempty" jsonschema_description:"The text to show instead once until has passed."`
}

// An App is what is asked of an app on one platform.
type App struct {
	Minimum string            `json:"minimum" jsonschema:"required" jsonschema_description:"The oldest version that still works: numbers with dots between. An older app asks its user to update."`
	Store   string            `json:"store,omitempty" jsonschema_description:"Where the app is updated."`
	Message map[string]string `json:"message,omitempty" jsonschema_description:"What to tell the user of an older app, by language."`
}

// A Window is work that is announced.
type Window struct {
	Services []string          `json:"services" jsonschema:"required,minItems=1" jsonschema_description:"The services that will be closed."`
	Start    time.Time         `json:"start" jsonschema:"required" jsonschema_description:"When it is planned to begin."`
	End      time.Time         `json:"end" jsonschema:"required" jsonschema_description:"When it is planned to end."`
	Message  map[string]string `json:"message,omitempty" jsonschema_description:"What to tell people, by language."`
}

// ErrNewer means that a document is of a format that this noren does not know.
var ErrNewer = errors.New("the document is of another format")

// Parse reads a document of this format. What it does not know of it is lost.
func Parse(raw []byte) (*Document, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("the document has more than %d bytes", MaxSize)
	}
	var d Document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("the document is not what noren writes: %w", err)
	}
	if !strings.HasPrefix(d.Schema, family) {
		return nil, fmt.Errorf("the document is not what noren writes: its schema is %q", d.Schema)
	}
	if d.Schema != Schema {
		return nil, fmt.Errorf("%w: it is %q, and this noren knows %s", ErrNewer, d.Schema, Schema)
	}
	return &d, nil
}

// JSON is the document as it is written: the same document gives the same bytes.
func (d *Document) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("status document: %w", err)
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("the status document would have %d bytes, and %d is the most: shorten its texts", b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}

// Close says of a service how it is closed, nil for not at all, and of the
// whole what follows.
func (d *Document) Close(service string, c *Closing) {
	s := d.Services[service]
	s.Closing, s.Status = c, Operational
	switch {
	case c != nil && c.Extent != "":
		s.Status = Partial
	case c != nil:
		s.Status = Maintenance
	}
	if d.Services == nil {
		d.Services = map[string]Service{}
	}
	d.Services[service] = s
	d.Status = d.overall()
}

func (d *Document) overall() Status {
	count := map[Status]int{}
	for _, s := range d.Services {
		count[s.Status]++
	}
	switch len(d.Services) {
	case count[Operational]:
		return Operational
	case count[Maintenance]:
		return Maintenance
	}
	return Partial
}

// At returns the document as it is true at a moment, and whether that differs
// from d: closings whose end has passed are overdue, windows that have passed
// are gone. d stays as it is.
func (d *Document) At(now time.Time) (*Document, bool) {
	at, changed := *d, false
	at.Services = map[string]Service{}
	for name, s := range d.Services {
		if c := s.Closing; c != nil {
			late := *c
			late.Overdue = !c.Until.IsZero() && now.After(c.Until)
			changed = changed || late.Overdue != c.Overdue
			s.Closing = &late
		}
		at.Services[name] = s
	}
	at.Upcoming = slices.DeleteFunc(slices.Clone(d.Upcoming), func(w Window) bool { return !now.Before(w.End) })
	return &at, changed || len(at.Upcoming) != len(d.Upcoming)
}
