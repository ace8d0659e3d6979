package appstatus

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/driver"
)

// tell tells of the services that the configuration lists.
func tell(c *conn, a driver.Announcement) (driver.Telling, error) {
	if _, listed := c.cfg.Services[a.Service]; !listed {
		return driver.Telling{}, nil
	}
	return driver.Telling{
		Patience: patienceOf(c.place),
		Checks:   []driver.Call{{Action: "appstatus/document.writable", Params: WritableParams{}}},
		Calls:    []driver.Call{{Action: "appstatus/service.tell", Params: TellParams{Service: a.Service, Closing: closing(a)}}},
	}, nil
}

// closing is an announcement in the document's words. Times are to the second:
// what a phone shows, and what a state keeps, whichever way it was stored.
func closing(a driver.Announcement) appstatus.Closing {
	c := appstatus.Closing{Since: a.Since.UTC().Truncate(time.Second), Extent: a.Extent, Lang: a.Lang, Messages: map[string]appstatus.Message{}}
	if !a.Until.IsZero() {
		c.Until = a.Until.UTC().Truncate(time.Second)
	}
	for lang, w := range a.Words {
		c.Messages[lang] = appstatus.Message(w)
	}
	return c
}

// shown is the document as it would be served now, with announcements made.
func shown(ctx context.Context, c *conn, as []driver.Announcement) (driver.Publication, error) {
	d, err := c.place.read(ctx)
	if err != nil {
		return driver.Publication{}, err
	}
	p := driver.Publication{Where: c.place.String(), Exists: d != nil, Closed: map[string]driver.Call{}}
	if d != nil {
		for name, s := range d.Services {
			if s.Closing != nil {
				p.Closed[name] = driver.Call{Action: "appstatus/service.tell", Params: TellParams{Service: name, Closing: *s.Closing}}
			}
		}
	}
	if d == nil {
		d = c.fresh()
		d.Updated = c.now().UTC().Truncate(time.Second)
	}
	if len(as) > 0 { // as it would be written
		c.cfg.static().into(d)
	}
	for _, a := range as {
		if _, listed := c.cfg.Services[a.Service]; listed {
			told := closing(a)
			d.Close(a.Service, &told)
		}
	}
	d, _ = d.At(c.now())
	if p.Body, err = d.JSON(); err != nil {
		return p, tooLarge(c.place, c.env, err)
	}
	return p, nil
}

// findTraces finds the marks beside the document.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	all, err := c.place.marks(ctx)
	if err != nil {
		return nil, err
	}
	found := &driver.Traces{Seen: []driver.Seen{{Kind: "status documents", Count: 1}}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		found.Marks = append(found.Marks, driver.ReadMark(c.target(name), all[name]))
	}
	return found, nil
}
