package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
)

// nothingHeld answers who wants to open what no run of this state directory
// holds. It may be held by a run of another one, so that it looks at the doors
// before it says that nothing is closed; why is the answer where none is found.
func (a *app) nothingHeld(ctx context.Context, c *control.Control, req control.OpenRequest, why error) error {
	if c.Catalog == nil {
		_, err := a.catalog() // it says why there is none
		return a.notLooked(c, req, why, err)
	}
	var envs []string
	if req.Environment != "" {
		envs = []string{req.Environment}
	}
	found, err := c.Elsewhere(ctx, asidePatience, req.Services, envs...)
	switch {
	case err != nil:
		return err
	case found.Fault != nil:
		return found.Fault
	}
	for _, l := range found.Ended {
		a.view.Say("%s still carries the mark of run %s, which has ended: see noren leftovers.", l.Target, l.Run)
	}
	switch {
	case found.Err != nil:
		return a.notLooked(c, req, why, found.Err)
	case why != nil:
		return why
	}
	a.view.Result(fmt.Sprintf("Nothing is closed%s (looked at the doors of %s).", where(req.Environment), strings.Join(found.Looked, ", ")),
		map[string]any{"opened": []string{}, "looked": found.Looked, "stateDirectory": c.StateDir})
	return nil
}

// notLooked answers where the doors could not be looked at.
func (a *app) notLooked(c *control.Control, req control.OpenRequest, why, err error) error {
	reason := "there is no catalog"
	if faults := fault.Of(err); len(faults) > 0 {
		reason = faults[0].Summary
		if faults[0].Detail != "" {
			reason += ": " + strings.TrimSuffix(faults[0].Detail, ".")
		}
	}
	a.view.Say("Closings made from elsewhere were not looked for (%s). The state directory in use is %s.", reason, c.StateDir)
	if why != nil {
		return why
	}
	a.view.Result(fmt.Sprintf("No run of this state directory holds anything%s.", where(req.Environment)),
		map[string]any{"opened": []string{}, "looked": []string{}, "stateDirectory": c.StateDir})
	return nil
}
