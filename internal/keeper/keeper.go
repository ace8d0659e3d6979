package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// Pauses of the keeper. They are short since a clock may jump: what is due is
// found by comparing with the wall clock, never by sleeping until then.
const (
	tickEvery = 2 * time.Second
	onceEvery = 200 * time.Millisecond // while waiting for a run under way
	tryEvery  = time.Minute            // between looks at an application that was not ready
)

// Options are what a Keeper is made of.
type Options struct {
	Control  *control.Control
	Now      func() time.Time
	Settings Settings
	Channels []Channel
	// Complain is told what a person should know of the keeper's own work: a
	// channel that fails, a run that is carried on.
	Complain func(format string, args ...any)
}

// A Keeper minds the closings of one state directory.
type Keeper struct {
	Options
	tried   map[string]attempt // the last one to open, by group
	opening map[string]group   // by the run that opens it
	said    map[string]bool    // complaints that need no repeating
	did     map[string]bool    // the runs that it told of or executed

	prolonged map[string]time.Time // when mutes were last prolonged, by run and end
	quieting  map[string]bool      // the runs that prolong them
}

// An attempt to open is when it was made, and why nothing came of it.
type attempt struct {
	at     time.Time
	refuse refusal
}

// New makes a keeper. Only one may work on a state directory: the caller holds
// control's Keep.
func New(o Options) *Keeper {
	return &Keeper{Options: o, tried: map[string]attempt{}, opening: map[string]group{}, said: map[string]bool{}, did: map[string]bool{},
		prolonged: map[string]time.Time{}, quieting: map[string]bool{}}
}

// Run minds the closings until ctx is done, or until enough says that what is
// closed is all that it was to wait for. What fails for a while, such as a full
// disk, is told and tried again.
func (k *Keeper) Run(ctx context.Context, enough func([]control.ClosedService) bool) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		err := k.Tick(ctx)
		if err == nil {
			var done bool
			if done, err = k.enough(ctx, enough); done {
				return k.heard(ctx)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			k.once("tick "+err.Error(), "%s", brief(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (k *Keeper) enough(ctx context.Context, enough func([]control.ClosedService) bool) (bool, error) {
	if enough == nil {
		return false, nil
	}
	closed, err := k.Control.Status(ctx)
	return err == nil && enough(closed), err
}

// Once does what is due now and waits for the runs that this began or carried
// on.
func (k *Keeper) Once(ctx context.Context) error {
	if err := k.Tick(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(onceEvery)
	defer tick.Stop()
	for {
		busy, err := k.busy(ctx)
		if err != nil {
			return err
		}
		if !busy {
			if err := k.Tick(ctx); err != nil {
				return err
			}
			return k.heard(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// heard gives channels a moment to tell people of what the keeper did.
func (k *Keeper) heard(ctx context.Context) error {
	for id := range k.did {
		missed, err := k.Control.Heard(ctx, id)
		if err != nil {
			return err
		}
		for _, m := range missed {
			k.Complain("%s did not hear of all of run %s: %s", m.Who, m.Run, m.Why)
		}
	}
	return nil
}

// busy tells whether this process executes a run that goes on by itself.
func (k *Keeper) busy(ctx context.Context) (bool, error) {
	if !k.Control.Executing() {
		return false, nil
	}
	runs, err := k.Control.Unfinished(ctx)
	for _, r := range runs {
		if f := k.Control.Execute(ctx, r.ID); f != nil {
			return false, f
		}
		if r.Status != run.Waiting {
			return true, nil
		}
	}
	return false, err
}

// Tick does what is due at this moment.
func (k *Keeper) Tick(ctx context.Context) error {
	if err := k.carryOn(ctx); err != nil {
		return err
	}
	if err := k.report(ctx); err != nil {
		return err
	}
	closed, err := k.Control.Status(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range groups(closed) {
		errs = append(errs, k.mind(ctx, g))
	}
	errs = append(errs, k.quieted(ctx), k.stillQuiet(ctx))
	return errors.Join(append(errs, k.Control.Rest(ctx))...)
}

// carryOn takes up runs that were cut off. One that waits for a person is not
// the keeper's to answer.
func (k *Keeper) carryOn(ctx context.Context) error {
	cut, err := k.Control.CutOff(ctx)
	if err != nil {
		return err
	}
	for _, r := range cut {
		if r.Status == run.Waiting {
			k.once("waits "+r.ID, "run %s waits for a person: noren retry, skip, undo or stop %s", r.ID, r.ID)
			continue
		}
		k.did[r.ID] = true
		k.once("carry "+r.ID, "carrying on run %s, which was cut off", r.ID)
		if err := k.Control.Execute(ctx, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// mind does what is due for the services of a closing that end together.
func (k *Keeper) mind(ctx context.Context, g group) error {
	if g.until.IsZero() || !g.holder.Status.Ended() {
		return nil // nothing ends, or somebody is at it just now
	}
	now := k.Now()
	var no refusal
	if g.autoOpen && !now.Before(g.until) {
		var opening bool
		var err error
		if opening, no, err = k.open(ctx, g, now); err != nil || opening {
			return err
		}
	}
	offset, due := k.Settings.due(g.set, g.until, now)
	if told, ok := g.closing.RemindedAt(g.until); ok && offset <= told {
		due = false
	}
	switch {
	case no.topic != "" && !g.closing.Told(no.topic, g.until):
		return k.tell(ctx, g, run.Reminder{Topic: no.topic, Offset: offset, Text: words(g, now, no.why), Why: no.why}, no.try)
	case due:
		try := no.try
		if try == nil {
			try = advice(g)
		}
		return k.tell(ctx, g, run.Reminder{Topic: run.Ending, Offset: offset, Text: words(g, now, no.why), Why: no.why}, try)
	}
	return nil
}

// tell records a reminder, and then sends it through every channel.
func (k *Keeper) tell(ctx context.Context, g group, m run.Reminder, try []string) error {
	m.Until, m.Services = g.until, g.services
	if err := k.Control.Remind(ctx, g.closing.ID, m); err != nil {
		return err
	}
	k.did[g.closing.ID] = true
	now := k.Now()
	r := Reminder{Topic: m.Topic, At: now, Environment: g.environment, Services: g.services, Run: g.closing.ID, Actor: g.closing.Actor,
		Reason: g.closing.Plan.Reason, Until: g.until, Left: int(g.until.Sub(now).Seconds()), AutoOpen: g.autoOpen, Text: m.Text, Try: try}
	for _, c := range k.Channels {
		if err := c.Send(ctx, r); err != nil {
			k.Complain("%s could not be told: %s", c.Name(), brief(err))
		}
	}
	return nil
}

// once complains once of a thing.
func (k *Keeper) once(key, format string, args ...any) {
	if !k.said[key] {
		k.said[key] = true
		k.Complain(format, args...)
	}
}

// brief is an error in one line.
func brief(err error) string {
	var f *fault.Fault
	text := err.Error()
	if errors.As(err, &f) {
		text = f.Summary
		if f.Detail != "" {
			text += ": " + f.Detail
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(text, ".")
}

// A group is the services of one closing that end at one time, held by one run.
type group struct {
	environment string
	services    []string
	closing     *run.Run
	holder      *run.Run
	until, set  time.Time // the end, and when it was given
	autoOpen    bool
}

func (g group) key() string { return g.closing.ID + " " + g.until.UTC().Format(time.RFC3339Nano) }

// clock tells a time in the closing's zone.
func (g group) clock(t time.Time) string { return clockIn(g.closing.Plan.Zone, t) }

func groups(closed []control.ClosedService) []group {
	var all []group
	for _, s := range closed {
		set := s.Closing.Created
		if s.Extension != nil {
			set = s.Extension.At
		}
		i := slices.IndexFunc(all, func(g group) bool { return g.holder.ID == s.Run.ID && g.until.Equal(s.Until) })
		if i < 0 {
			all = append(all, group{environment: s.Environment, closing: s.Closing, holder: s.Run, until: s.Until, set: set, autoOpen: s.AutoOpen})
			i = len(all) - 1
		}
		all[i].services = append(all[i].services, s.Service)
		if set.Before(all[i].set) {
			all[i].set = set
		}
	}
	return all
}

// Foresee says what a keeper would do, and when, a line for each closing.
func (k *Keeper) Foresee(ctx context.Context) ([]string, error) {
	closed, err := k.Control.Status(ctx)
	if err != nil {
		return nil, err
	}
	cut, err := k.Control.CutOff(ctx)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, r := range cut {
		if r.Status != run.Waiting {
			lines = append(lines, fmt.Sprintf("now: carry on run %s, which was cut off", r.ID))
		}
	}
	now := k.Now()
	for _, g := range groups(closed) {
		lines = append(lines, k.foresee(g, now))
	}
	return lines, nil
}

func (k *Keeper) foresee(g group, now time.Time) string {
	who := fmt.Sprintf("%s in %s", strings.Join(g.services, ", "), g.environment)
	switch {
	case !g.holder.Status.Ended():
		return fmt.Sprintf("%s: nothing while run %s is under way", who, g.holder.ID)
	case g.until.IsZero():
		return who + ": nothing, since no end was given"
	case g.holder.Plan.Kind == plan.Open:
		return fmt.Sprintf("%s: remind that it is half open, by run %s", who, g.holder.ID)
	}
	var parts []string
	told, before := g.closing.RemindedAt(g.until)
	if offset, ok := k.Settings.due(g.set, g.until, now); ok && (!before || offset > told) {
		parts = append(parts, "remind now")
	}
	if offset, ok := k.Settings.next(g.set, g.until, now); ok {
		parts = append(parts, "remind at "+g.clock(g.until.Add(offset)))
	}
	if g.autoOpen {
		when := "at " + g.clock(g.until)
		if !now.Before(g.until) {
			when = "now"
		}
		parts = append(parts, "open "+when+" if it is ready")
	}
	if len(parts) == 0 {
		parts = []string{"nothing more"}
	}
	return who + ": " + strings.Join(parts, ", ")
}
