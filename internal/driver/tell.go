package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/fault"
)

// An Announcement is what there is to tell of one service that is closed, to
// those who do not see its closed page: apps, for one.
type Announcement struct {
	Service string
	Since   time.Time
	Until   time.Time // zero: not known
	// Extent is how much is closed: "" for all of it, "read-only" or "paths".
	Extent string
	// Lang is the main language of Words, which are those of the closed page.
	Lang  string
	Words map[string]Words // by language
}

// Words are what the closed page says in one language.
type Words struct {
	Title  string
	Detail string
	Late   string // in place of Detail once the end has passed
}

// A Telling is how a driver tells of one service.
type Telling struct {
	// Announced is set where the telling is an announcement to people, which a
	// rehearsal leaves out.
	Announced bool
	// Patience is how long it may take until others hear of it, beyond what it
	// takes to write it. Zero: no longer.
	Patience time.Duration
	// Checks are made before anything is changed.
	Checks []Call
	// Calls are changes, made just before customers are shut out. They are taken
	// back last of all, once customers are seen to be let in again: others then
	// never hear that a service works while it does not.
	Calls []Call
}

// A Publication is what a driver tells others, as it stands somewhere.
type Publication struct {
	Driver string
	Where  string // for people: the path of a file
	Exists bool
	Body   []byte // as it would be served now
	// Closed are the services of which it says now that they are closed, each
	// with the call of the change that says so.
	Closed map[string]Call
}

// Tells adds the ability to tell others that services are closed. tell does no
// I/O; for a service that it does not tell of, it returns the zero Telling.
// shown is what is told now or, with announcements, what would be told then; it
// only reads. publish names the change that brings what does not depend on
// closings up to date.
func Tells[K any](publish string, tell func(conn K, a Announcement) (Telling, error), shown func(ctx context.Context, conn K, as []Announcement) (Publication, error)) Part[K] {
	return func(d *Driver) {
		d.tells = &teller{
			publish: publish,
			tell:    func(conn any, a Announcement) (Telling, error) { return tell(conn.(K), a) },
			shown: func(ctx context.Context, conn any, as []Announcement) (Publication, error) {
				return shown(ctx, conn.(K), as)
			},
		}
	}
}

// Announces is Tells for what says nothing but that services are closed: there is
// no document to be shown or published.
func Announces[K any](tell func(conn K, a Announcement) (Telling, error)) Part[K] {
	return func(d *Driver) {
		d.tells = &teller{tell: func(conn any, a Announcement) (Telling, error) { return tell(conn.(K), a) }}
	}
}

type teller struct {
	publish string
	tell    func(conn any, a Announcement) (Telling, error)
	shown   func(ctx context.Context, conn any, as []Announcement) (Publication, error)
}

// A ServiceNamer is a configuration that names services of the catalog.
type ServiceNamer interface {
	// ServicesNamed returns the services by the key at which they are named:
	// names and indexes joined by dots.
	ServicesNamed() map[string]string
}

// ServicesNamed returns which services a driver's configuration names; see
// [ServiceNamer]. It returns none if the configuration cannot be decoded.
func (r *Registry) ServicesNamed(name string, raw json.RawMessage) map[string]string {
	d := r.Driver(name)
	if d == nil {
		return nil
	}
	cfg := d.NewConfig()
	namer, ok := cfg.(ServiceNamer)
	if !ok || decodeStrict(raw, cfg) != nil {
		return nil
	}
	return namer.ServicesNamed()
}

// Tellers lists the configured drivers that tell others by a document, in the
// registry's order.
func (s *Session) Tellers() []string {
	var names []string
	for _, d := range s.publishers() {
		names = append(names, d.Name)
	}
	return names
}

func (s *Session) tellers() []*Driver {
	var all []*Driver
	for _, d := range s.registry.drivers {
		if _, configured := s.configs[d.Name]; configured && d.tells != nil {
			all = append(all, d)
		}
	}
	return all
}

// publishers are the tellers with a document.
func (s *Session) publishers() []*Driver {
	return slices.DeleteFunc(s.tellers(), func(d *Driver) bool { return d.tells.shown == nil })
}

// teller connects a driver that tells others. There is one for an environment,
// so that of several clusters it must be said in which it is.
func (s *Session) teller(ctx context.Context, d *Driver) (any, error) {
	if own, _ := s.own(d); !own {
		return nil, s.unsaid(d)
	}
	return s.connect(ctx, d)
}

func (s *Session) unsaid(d *Driver) *fault.Fault {
	return &fault.Fault{Code: fault.Invalid, Summary: "cluster is not said",
		Detail: fmt.Sprintf("The environment %s has several clusters (%s), and its section %s does not say in which one it writes: name the kubeconfig context of that one.",
			s.env.Name, strings.Join(slices.Sorted(maps.Keys(s.clusters)), ", "), d.Name),
		Try: []string{d.Name + ": {context: …}"}}
}

// Astray finds the sections of drivers that tell others, and of channels, which
// could not be used:
// those that do not say in which cluster they write, and those of a cluster,
// which nobody reads, since an environment tells once. The names are those of
// the cluster, "" for the environment, and the driver. It connects to nothing.
func (s *Session) Astray() map[[2]string]*fault.Fault {
	astray := map[[2]string]*fault.Fault{}
	for _, d := range s.tellers() {
		if own, _ := s.own(d); !own {
			astray[[2]string{"", d.Name}] = s.unsaid(d)
		}
	}
	for name, child := range s.clusters {
		for _, d := range child.tellers() {
			astray[[2]string{name, d.Name}] = &fault.Fault{Code: fault.Invalid, Summary: "section is in a cluster",
				Detail: fmt.Sprintf("%s has %s in its cluster %s. An environment tells its apps once: the section belongs beside clusters, with the context of the cluster in which it writes, if it writes in one.", s.env.Name, d.Name, name)}
		}
		for _, ear := range s.registry.Ears(child.configs) {
			astray[[2]string{name, ear.Driver}] = &fault.Fault{Code: fault.Invalid, Summary: "section is in a cluster",
				Detail: fmt.Sprintf("%s has %s in its cluster %s. People hear of an environment's runs, not of a cluster's: the section belongs beside clusters.", s.env.Name, ear.Driver, name)}
		}
	}
	return astray
}

// Tell asks every driver that tells others how it would tell of a service.
func (s *Session) Tell(ctx context.Context, a Announcement) ([]Telling, error) {
	var all []Telling
	for _, d := range s.tellers() {
		conn, err := s.teller(ctx, d)
		if err != nil {
			return nil, err
		}
		t, err := d.tells.tell(conn, a)
		if err != nil {
			return nil, err
		}
		t.Announced = d.tells.shown == nil
		all = append(all, t)
	}
	return all, nil
}

// Shown is what is told to others now or, with announcements, would be.
func (s *Session) Shown(ctx context.Context, as ...Announcement) ([]Publication, error) {
	var all []Publication
	for _, d := range s.publishers() {
		conn, err := s.teller(ctx, d)
		if err != nil {
			return nil, err
		}
		p, err := retried(ctx, s.env.patience(), func(ctx context.Context) (Publication, error) { return d.tells.shown(ctx, conn, as) })
		if err != nil {
			return nil, err
		}
		p.Driver = d.Name
		all = append(all, p)
	}
	return all, nil
}

// Publishing is the calls that bring up to date what the drivers tell others
// whatever is closed.
func (s *Session) Publishing() []Call {
	var all []Call
	for _, d := range s.publishers() {
		all = append(all, Call{Action: d.tells.publish, Params: struct{}{}})
	}
	return all
}

// A Resident configuration may put what is told into a system that is another
// driver's: a document in a bucket is in AWS.
type Resident interface {
	// ResidesIn names that driver, "" for none.
	ResidesIn() string
}

// PublishingIn is [Session.Publishing] of what resides in the system of a driver.
// It connects to nothing.
func (s *Session) PublishingIn(system string) []Call {
	var all []Call
	for _, d := range s.publishers() {
		cfg := d.NewConfig()
		r, ok := cfg.(Resident)
		if !ok || decodeStrict(s.configs[d.Name], cfg) != nil || r.ResidesIn() != system {
			continue
		}
		all = append(all, Call{Action: d.tells.publish, Params: struct{}{}})
	}
	return all
}

// ToldMarks are the marks of what is told to others now.
func (s *Session) ToldMarks(ctx context.Context) ([]FoundMark, error) {
	var all []FoundMark
	for _, d := range s.publishers() {
		if d.traces == nil {
			continue
		}
		found, err := s.tracesOf(ctx, d)
		if err != nil {
			return nil, err
		}
		all = append(all, found.Marks...)
	}
	return all, nil
}
