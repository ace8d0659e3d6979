package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// Paused is the state of argocd/app.pause: exactly spec.syncPolicy.automated,
// as it is written. Absent is not the same as {} (which switches automated
// sync on), and {} is not the same as {"enabled":true}.
type Paused struct {
	Automated json.RawMessage `json:"automated,omitempty"`
}

// pause is the change argocd/app.pause.
type pause struct {
	target
	mark *action.Mark
}

func openPause(c *conn, ref Ref) (driver.Typed[Paused], error) {
	return &pause{target: c.target(ref)}, nil
}

// Observe reads spec.syncPolicy.automated.
func (p *pause) Observe(ctx context.Context) (*Paused, error) {
	if err := p.conn.learn(ctx); err != nil {
		return nil, err
	}
	app, err := p.get(ctx)
	if err != nil || app == nil {
		return nil, err
	}
	return &Paused{app.automated()}, nil
}

// Propose switches automated sync off: by enabled: false where Argo CD knows
// it, so that prune, selfHeal and allowEmpty stay in sight; else by removing
// automated, which every version understands. What is off stays as it is.
func (p *pause) Propose(from *Paused) (*Paused, error) {
	if from == nil {
		return nil, p.missing()
	}
	if _, on := automationOf(from.Automated); !on {
		return &Paused{from.Automated}, nil
	}
	if !p.conn.enabledIsKnown() {
		return &Paused{}, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(from.Automated, &fields); err != nil {
		return nil, fmt.Errorf("%s: spec.syncPolicy.automated: %w", p.what(), err)
	}
	fields["enabled"] = json.RawMessage("false")
	raw, err := json.Marshal(fields)
	return &Paused{raw}, err
}

// Apply writes spec.syncPolicy.automated, and the mark with it.
func (p *pause) Apply(ctx context.Context, from, to *Paused) error {
	app, err := p.get(ctx)
	if err != nil {
		return err
	}
	if app == nil || from == nil || to == nil {
		if app == nil && to == nil {
			return nil
		}
		return fmt.Errorf("%s: it does not exist, or did not when its state was recorded; see whether it was deleted or renamed on purpose: %w", p.what(), action.ErrDrift)
	}
	now := app.automated()
	if driver.BatchOf(ctx).Many() && (sameJSON(now, to.Automated) || !sameJSON(now, from.Automated)) {
		return p.Apply(driver.Alone(ctx), from, to) // who does not write has looked for itself
	}
	if sameJSON(now, to.Automated) {
		return p.tidy(ctx, app, to)
	}
	if !sameJSON(now, from.Automated) {
		return p.drifted(app, from, to)
	}
	patch, err := p.patch(app, from, to)
	if err != nil {
		return err
	}
	after, err := p.write(ctx, app, patch)
	if err != nil {
		return p.lost(ctx, from, to, err)
	}
	if stored := after.automated(); !sameJSON(stored, to.Automated) {
		return p.dropped(stored, to)
	}
	return nil
}

// lost tells what a refused patch means: the API server answers 422 both when
// a test in it failed and when the object would not be valid.
func (p *pause) lost(ctx context.Context, from, to *Paused, refused error) error {
	if !isRefusedPatch(refused) {
		return refused
	}
	app, err := p.get(driver.Alone(ctx))
	switch {
	case err != nil:
		return err
	case app == nil:
		return fmt.Errorf("%s was deleted at this moment: %w", p.what(), action.ErrDrift)
	case sameJSON(app.automated(), to.Automated):
		return nil
	case !sameJSON(app.automated(), from.Automated):
		return p.drifted(app, from, to)
	default:
		return again(ctx, refused)
	}
}

func (p *pause) drifted(app *application, from, to *Paused) error {
	return fmt.Errorf("%s: spec.syncPolicy.automated is %s%s, noren expected %s or %s; see who switched it, and why, before going on: %w",
		p.what(), shown(app.automated()), writer(app), shown(from.Automated), shown(to.Automated), action.ErrDrift)
}

func (p *pause) dropped(stored json.RawMessage, to *Paused) error {
	return &fault.Fault{
		Code:    fault.CheckFailed,
		Summary: "the API server did not keep what was written",
		Detail: fmt.Sprintf("%s: spec.syncPolicy.automated was written as %s and is kept as %s. "+
			"Argo CD's CRD before 3.1 drops the field enabled, and an admission webhook may change any: automated sync is not as it should be. Undoing takes the mark away.",
			p.what(), shown(to.Automated), shown(stored)),
		Left: fmt.Sprintf("%s carries this run's mark, and spec.syncPolicy.automated is %s", p.what(), shown(stored)),
		Try:  []string{fmt.Sprintf("kubectl -n %s get applications.argoproj.io %s -o yaml --show-managed-fields", p.ref.Namespace, p.ref.Name)},
	}
}

// Settled is OK once no operation runs: a sync begun before the pause goes on
// after it. Argo CD may also have read the Application just before the write,
// and begin one more sync within the moment after it.
func (p *pause) Settled(ctx context.Context, want *Paused) (action.Verdict, error) {
	if want != nil {
		if _, on := automationOf(want.Automated); on {
			return action.Verdict{OK: true, Summary: fmt.Sprintf("%s: automated sync is on", p.what())}, nil
		}
	}
	app, err := p.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	return p.quiet(app), nil
}

// Describe says what happens to automated sync, and shows the YAML.
func (p *pause) Describe(from, to *Paused) action.Description {
	return action.Description{Line: p.line(from, to), Before: text(from), After: text(to)}
}

func (p *pause) line(from, to *Paused) string {
	if from == nil || to == nil {
		return p.what() + " does not exist"
	}
	was, on := automationOf(from.Automated)
	will, goesOn := automationOf(to.Automated)
	switch {
	case on && !goesOn:
		return fmt.Sprintf("pause automated sync of %s%s", p.what(), settings(was))
	case !on && goesOn:
		return fmt.Sprintf("switch automated sync of %s on again%s", p.what(), settings(will))
	case !on:
		return fmt.Sprintf("automated sync of %s is off already: nothing to do", p.what())
	default:
		return fmt.Sprintf("change automated sync of %s", p.what())
	}
}

func settings(a automation) string {
	var set []string
	for _, s := range []struct {
		name string
		on   bool
	}{{"prune", a.Prune}, {"selfHeal", a.SelfHeal}, {"allowEmpty", a.AllowEmpty}} {
		if s.on {
			set = append(set, s.name)
		}
	}
	if set == nil {
		return ""
	}
	return " (" + strings.Join(set, ", ") + ")"
}

func text(s *Paused) string {
	switch {
	case s == nil:
		return ""
	case len(s.Automated) == 0:
		return "spec:\n  syncPolicy:\n    # no automated: synced by hand only\n"
	}
	tree := map[string]any{"spec": map[string]any{"syncPolicy": map[string]any{"automated": s.Automated}}}
	out, err := yaml.Marshal(tree) // by way of JSON, so that s.Automated is taken as it is
	if err != nil {
		return string(s.Automated)
	}
	return string(out)
}

// Marked returns the same change, leaving m.
func (p *pause) Marked(m action.Mark) driver.Typed[Paused] { return &pause{p.target, &m} }

// Requires lists the permissions to read and to patch the Application, and to
// find it again by its mark.
func (p *pause) Requires() []action.Permission {
	return append(p.needs("to pause automated sync and to restore it", "get", "patch"),
		action.Permission{System: name, Verb: "list", Resource: resource, Namespace: p.conn.namespace, Why: "to find what is paused if noren's records are lost"})
}
