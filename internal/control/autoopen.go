package control

import (
	"context"
	"fmt"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// opensByItself tells the reader of a plan that it opens at its end, and
// whether anybody is there to do so.
func (x *planner) opensByItself(ctx context.Context, p *plan.Plan) error {
	if !p.AutoOpen {
		return nil
	}
	p.Notes = append(p.Notes, plan.Note{Text: fmt.Sprintf("Opens by itself at %s, if the application is ready then; no one is asked again.", p.Until.Format("15:04 MST"))})
	k, err := x.Keeper(ctx)
	if err != nil || k != nil {
		return err
	}
	p.Notes = append(p.Notes, plan.Note{Warn: true, Text: NoKeeper})
	return nil
}

// NoKeeper warns that a closing will not open by itself.
const NoKeeper = "No keeper is at work: nothing will open it at the end. Start one with noren keep, or close with --stay."

// endless refuses to open by itself what has no end.
func (r CloseRequest) endless() error {
	if !r.AutoOpen || !r.Until.IsZero() {
		return nil
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "no end was given", Detail: "Nothing can open by itself at an end that is not known.",
		Try: []string{"--for 30m", "--until 03:00"}}
}
