package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/fault"
)

// A Notice is one thing that happened in a run, as people are told of it. It
// holds no secret.
type Notice struct {
	// Seq is the number of the event that it tells of: it names the notice for
	// ever.
	Seq  int64
	Kind NoticeKind
	At   time.Time
	Text string // a sentence
	Try  []string
	// Loud tells that people should look up: a run waits for them, or customers
	// see something else than they were told.
	Loud bool
}

// A NoticeKind is what a notice is about.
type NoticeKind string

// The kinds of notice.
const (
	NoticeStarted  NoticeKind = "started"
	NoticeResumed  NoticeKind = "resumed" // carried on after it was cut off
	NoticeStage    NoticeKind = "stage"
	NoticeWaiting  NoticeKind = "waiting" // for a person
	NoticeAnswered NoticeKind = "answered"
	NoticeUndoing  NoticeKind = "undoing"
	NoticeExtended NoticeKind = "extended"
	NoticeReminded NoticeKind = "reminded" // the end is near, or something about it
	NoticeLate     NoticeKind = "late"
	NoticeEnded    NoticeKind = "ended"
)

// A Story is a run as it is now, in the words of the page's first language. It
// holds no secret.
type Story struct {
	Run string
	// Closing is the run that this one extends or opens, or Run: what belongs
	// together.
	Closing     string
	Kind        string // "close", "extend" or "open"
	Status      string // "running", "waiting", "done", …
	Environment string
	Services    []string
	By          string
	Reason      string
	Since       time.Time
	Until       time.Time // zero: not known
	Lang        string
	Sign        string // a pictograph
	Title       string // one line: what is how
	Facts       []Fact // what else there is to know
}

// A Fact is a line of a story.
type Fact struct{ Name, Value string }

// A Hearing is what a channel is to tell people of one run.
type Hearing struct {
	Story Story
	// Notices are those that the channel has not told yet, oldest first; there is
	// at least one.
	Notices []Notice
	// Handle is what the channel kept of what it told before, such as the id of
	// the message that it changes.
	Handle string
	// Again is set if the beginning of this may have been told already: by a
	// process that died, or in a call without an answer.
	Again bool
	// Earlier is what the channel told of the closing that this run has opened: it
	// is true no longer. It is nil where there is none.
	Earlier *Earlier
	// Keep records how far people were told, and the handle, before the channel
	// goes on: what is kept is not told again.
	Keep func(ctx context.Context, upto int64, handle string) error
}

// Earlier is a run as it is now, and the handle of what was told of it.
type Earlier struct {
	Handle string
	Story  Story
}

// Last is the number of the last notice.
func (h Hearing) Last() int64 { return h.Notices[len(h.Notices)-1].Seq }

// Hears makes a driver a channel, through which people hear of runs. hear tells
// once and returns; what fails with action.ErrUnavailable is tried again later,
// and an error with a method RetryAfter says when. Nothing waits for it.
func Hears[K any](hear func(ctx context.Context, conn K, h Hearing) error) Part[K] {
	return func(d *Driver) {
		d.hear = func(ctx context.Context, conn any, h Hearing) error { return hear(ctx, conn.(K), h) }
	}
}

// An Addresser is the configuration of a channel.
type Addresser interface {
	// Address says who hears, for people: "Slack channel C0123".
	Address() string
}

// An Ear is a channel as it is configured.
type Ear struct {
	Driver string `json:"driver"`
	Who    string `json:"who"`
}

// Ears lists the channels that an environment's configurations name, in the
// registry's order, without I/O.
func (r *Registry) Ears(configs Configs) []Ear {
	var all []Ear
	for _, d := range r.drivers {
		raw, configured := configs[d.Name]
		if d.hear == nil || !configured {
			continue
		}
		ear := Ear{Driver: d.Name, Who: d.Name}
		cfg := d.NewConfig()
		if a, ok := cfg.(Addresser); ok && decodeStrict(raw, cfg) == nil {
			ear.Who = a.Address()
		}
		all = append(all, ear)
	}
	return all
}

// Reaches lists the checks that ask, without telling anybody anything, whether
// the configured channels could tell people: each channel's own checks.
func (r *Registry) Reaches(configs Configs) []Call {
	var all []Call
	for _, ear := range r.Ears(configs) {
		for _, a := range r.Driver(ear.Driver).Actions {
			all = append(all, Call{Action: a.Name, Params: json.RawMessage("{}")})
		}
	}
	return all
}

// Hear tells people through the channel of that name, once.
func (s *Session) Hear(ctx context.Context, name string, h Hearing) error {
	d := s.registry.Driver(name)
	if d == nil || d.hear == nil {
		return &fault.Fault{Code: fault.Invalid, Summary: "unknown channel", Detail: fmt.Sprintf("This noren has no channel %q.", name)}
	}
	conn, err := s.connect(ctx, d)
	if err != nil {
		return err
	}
	return d.hear(ctx, conn, h)
}
