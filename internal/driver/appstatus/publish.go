package appstatus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/driver"
)

// PublishParams are the parameters of appstatus/document.publish: none, since
// all is in the environment's configuration.
type PublishParams struct{}

// Static is the state: what the document says whatever is closed.
type Static struct {
	// Services are what customers call each service, by language.
	Services map[string]map[string]string `json:"services"`
	Apps     map[string]appstatus.App     `json:"apps,omitempty"`
	Upcoming []appstatus.Window           `json:"upcoming,omitempty"`
}

// into writes s into the document. A service that is closed stays in it, until
// it is open and s is written again.
func (s *Static) into(d *appstatus.Document) {
	services := map[string]appstatus.Service{}
	for name, was := range d.Services {
		if _, listed := s.Services[name]; listed || was.Closing != nil {
			was.Name = nil
			services[name] = was
		}
	}
	d.Services, d.Apps, d.Upcoming = services, s.Apps, s.Upcoming
	for name, names := range s.Services {
		entry := d.Services[name]
		entry.Name = names
		d.Services[name] = entry
		d.Close(name, entry.Closing)
	}
}

// staticOf is what a document says; one that is not there lists nothing.
func staticOf(d *appstatus.Document) *Static {
	s := &Static{Services: map[string]map[string]string{}}
	if d == nil {
		return s
	}
	s.Apps, s.Upcoming = d.Apps, d.Upcoming
	for name, service := range d.Services {
		if len(service.Name) > 0 { // else only a closing brought it there
			s.Services[name] = service.Name
		}
	}
	return s
}

// publishChange is the change appstatus/document.publish. It leaves no mark:
// nothing in it has to be taken back.
type publishChange struct{ conn *conn }

func openPublish(c *conn, _ PublishParams) (driver.Typed[Static], error) {
	return &publishChange{c}, nil
}

// Target names the document.
func (p *publishChange) Target() string { return p.conn.target("document") }

// Observe reads the document.
func (p *publishChange) Observe(ctx context.Context) (*Static, error) {
	d, err := p.conn.place.read(ctx)
	return staticOf(d), err
}

// Propose wants what the configuration says.
func (p *publishChange) Propose(*Static) (*Static, error) { return p.conn.cfg.static(), nil }

// Apply writes everything but the closings.
func (p *publishChange) Apply(ctx context.Context, from, to *Static) error {
	return p.conn.place.update(ctx, func(d *appstatus.Document, _ map[string]string) (edited, error) {
		now, empty := staticOf(d), &Static{}
		from, to := cmp.Or(from, empty), cmp.Or(to, empty)
		switch {
		case same(now, to):
			return edited{}, nil
		case !same(now, from):
			return edited{}, fmt.Errorf("status document %s lists %s: someone else changed it: %w", p.conn.place, listed(now), action.ErrDrift)
		}
		if d == nil {
			d = p.conn.fresh()
		}
		to.into(d)
		return edited{document: p.conn.written(d)}, nil
	})
}

// Settled implements driver.TypedWaiter: apps get it.
func (p *publishChange) Settled(ctx context.Context, want *Static) (action.Verdict, error) {
	return settled(ctx, p.conn.place, func(d *appstatus.Document) bool { return same(staticOf(d), want) })
}

// Requires lists the permissions that the change needs.
func (p *publishChange) Requires() []action.Permission { return p.conn.place.requires() }

// Describe implements driver.TypedDescriber.
func (p *publishChange) Describe(from, to *Static) action.Description {
	return action.Description{Line: "publish names, apps and announced windows in " + p.conn.place.String(), Before: from.lines(), After: to.lines()}
}

// lines shows a state to people.
func (s *Static) lines() string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		fmt.Fprintf(&b, "service %s: %s\n", name, byLanguage(s.Services[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Apps)) {
		a := s.Apps[name]
		fmt.Fprintf(&b, "app %s: at least %s %s %s\n", name, a.Minimum, a.Store, byLanguage(a.Message))
	}
	for _, w := range s.Upcoming {
		fmt.Fprintf(&b, "upcoming %s to %s: %s %s\n", w.Start.Format("2006-01-02 15:04 MST"), w.End.Format("2006-01-02 15:04 MST"), strings.Join(w.Services, ", "), byLanguage(w.Message))
	}
	return b.String()
}

func byLanguage(texts map[string]string) string {
	var parts []string
	for _, lang := range slices.Sorted(maps.Keys(texts)) {
		parts = append(parts, fmt.Sprintf("%s %q", lang, texts[lang]))
	}
	return strings.Join(parts, ", ")
}

func listed(s *Static) string {
	if len(s.Services) == 0 {
		return "no service"
	}
	return strings.Join(slices.Sorted(maps.Keys(s.Services)), ", ")
}

func same(a, b *Static) bool {
	return reflect.DeepEqual(a.plain(), b.plain())
}

// plain is s with one form for what is empty, and for a moment.
func (s *Static) plain() Static {
	out := Static{Services: map[string]map[string]string{}, Apps: map[string]appstatus.App{}}
	for name, names := range s.Services {
		out.Services[name] = names
	}
	for name, a := range s.Apps {
		if len(a.Message) == 0 {
			a.Message = nil
		}
		out.Apps[name] = a
	}
	for _, w := range s.Upcoming {
		if w.Start, w.End = w.Start.UTC(), w.End.UTC(); len(w.Message) == 0 {
			w.Message = nil
		}
		out.Upcoming = append(out.Upcoming, w)
	}
	return out
}
