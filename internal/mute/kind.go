package mute

import (
	"cmp"
	"context"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// Words are what a system's mutes are called.
type Words struct {
	// Driver and Word name the kind of monitor "alertmanager/silence", its change
	// "alertmanager/silence.mute", and a target "alertmanager:prod/silence/NAME".
	Driver, Word string
	// Called is what people call one, if not WORD of DRIVER; Seen is the plural.
	Called, Seen string
	// Limit is how many bytes of words a mute can carry, 0 for any. Where there is
	// no room for a mark, the tag alone is left: it tells of which closing the mute is,
	// and recover takes it away with what else that has left.
	Limit int
	// Forbidden are characters that mean something in the system's words.
	Forbidden string
	// Longest is how long a mute can last; 0: as long as anybody wants.
	Longest time.Duration
}

// action is the name of the change.
func (w Words) action() string { return w.Driver + "/" + w.Word + ".mute" }

func (w Words) called() string { return cmp.Or(w.Called, w.Word+" of "+w.Driver) }

// A Kind is one kind of monitor. O are its options in noren.yaml, W is what a mute
// covers.
type Kind[O, W any] struct {
	Words
	// What is what the options mean.
	What func(o O) (W, error)
	// Mum tells where a Ringer cannot tell whether it rings; nil: nowhere.
	Mum func(w W) bool
	// Overlap tells whether another's mute of a keeps something of b quiet; nil:
	// where both are [Alike].
	Overlap func(a, b W) bool
}

// A Looker is a Book that can look at what is to be muted.
type Looker[W any] interface {
	// Look returns what the reader of a plan should know of w. Where something of it
	// does not exist, it fails with a fault of code NotFound.
	Look(ctx context.Context, w W) ([]driver.Note, error)
}

// A Finder is a Book that knows a mute of noren's by its [Key], without reading all
// of them.
type Finder[W any] interface {
	Find(ctx context.Context, key string) ([]Entry[W], error)
}

// A Settler is a Book whose mutes take a while to begin.
type Settler[W any] interface {
	// Settled tells whether e, which was read just now, keeps quiet what it covers,
	// and why not yet.
	Settled(e Entry[W]) (bool, string)
}

// A Ringer is a Book that can tell what rings.
type Ringer[W any] interface {
	// Rings returns what of w rings now, also what a mute keeps quiet.
	Rings(ctx context.Context, w W) ([]driver.Ring, error)
}

// A Requirer is a Book of which the rights that it needs are known.
type Requirer[W any] interface {
	Requires(w W) []action.Permission
}

// System is the system as env reaches it through a book.
func (k Kind[O, W]) System(b Book[W], env driver.Env) *System[W] {
	return &System[W]{Book: b, Words: k.Words, Env: env.Name, Now: env.Clock()}
}

// Open opens the monitor of that name in noren.yaml.
func (k Kind[O, W]) Open(s *System[W], name string, o O) (driver.Monitor, error) {
	w, err := k.What(o)
	if err != nil {
		return nil, err
	}
	m := monitor[W]{system: s, name: name, what: w, overlap: Alike[W]}
	if k.Overlap != nil {
		m.overlap = k.Overlap
	}
	if r, ok := s.Book.(Ringer[W]); ok && (k.Mum == nil || !k.Mum(w)) {
		return &ringing[W]{m, r}, nil
	}
	return &m, nil
}

// Connect is how a driver connects of which the system is all: open makes the book
// from C, the section of an environment, and asks the system nothing yet.
func Connect[C, O, W any](k Kind[O, W], open func(cfg C, env driver.Env) (Book[W], error)) func(context.Context, C, driver.Env) (*System[W], error) {
	return func(_ context.Context, cfg C, env driver.Env) (*System[W], error) {
		b, err := open(cfg, env)
		if err != nil {
			return nil, err
		}
		return k.System(b, env), nil
	}
}

// Open opens the change of such a driver.
func Open[W any](s *System[W], p Params[W]) (driver.Typed[State[W]], error) { return s.Open(p), nil }

// Traces finds the mutes of such a driver.
func Traces[W any](ctx context.Context, s *System[W]) (*driver.Traces, error) { return s.Traces(ctx) }
