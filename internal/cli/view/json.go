package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// JSON shows things to programs: one JSON value a line on Out, each with a
// member "type"; faults and messages on Err.
type JSON struct{ Out, Err io.Writer }

func (j JSON) put(w io.Writer, kind string, members map[string]any) {
	members["type"] = kind
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(members)
}

// Closing prints {"type":"plan","plan":…,"pages":…}. The pass is hidden wherever
// it stands: steps carry it too.
func (j JSON) Closing(c *control.Closing, _ time.Time) {
	pages := map[string]any{}
	for _, p := range c.Pages {
		pages[p.Service] = map[string]any{"contentType": p.Page.ContentType, "bytes": len(p.Page.Body), "limit": p.Limit, "notes": p.Page.Notes}
	}
	j.put(j.Out, "plan", map[string]any{"plan": withoutPass(c.Plan), "pages": pages})
}

// Opening prints {"type":"plan","plan":…}.
func (j JSON) Opening(p *plan.Plan, _ time.Time) {
	j.put(j.Out, "plan", map[string]any{"plan": withoutPass(p)})
}

// Brief implements [View]: programs get all.
func (j JSON) Brief() View { return j }

// Full implements [View].
func (j JSON) Full() View { return j }

func withoutPass(p *plan.Plan) any {
	shown := *p
	shown.Pass = ""
	raw, err := json.Marshal(&shown)
	if err != nil || p.Pass == "" {
		return &shown
	}
	return json.RawMessage(strings.ReplaceAll(string(raw), p.Pass, "•••"))
}

// Event prints {"type":"event","event":…}.
func (j JSON) Event(e run.Event, _ *run.Run) { j.put(j.Out, "event", map[string]any{"event": e}) }

// Ended prints {"type":"ended","run":…,"status":…}. Findings are what checks
// that passed found all the same; staff says whether they get in with the pass;
// unproved lists where nothing was proved, untold who was not told, stillMuted and
// notMuted the monitors that could not be let ring, or kept quiet.
func (j JSON) Ended(r *run.Run, _ time.Time) {
	j.put(j.Out, "ended", map[string]any{"run": r.ID, "kind": r.Plan.Kind, "environment": r.Plan.Environment.Name,
		"status": r.Status, "problem": r.Problem, "findings": list(r.Findings()), "staff": list(r.Staff()), "unproved": list(r.Unproved()), "untold": list(r.Untold()),
		"stillMuted": list(r.StillMuted()), "notMuted": list(r.NotMuted()), "seconds": r.Ended.Sub(r.Started).Seconds()})
}

// list is never null.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// Status prints {"type":"status","closed":[…],"unfinished":[…],"stateDirectory":…}.
func (j JSON) Status(closed []control.ClosedService, unfinished []*run.Run, asked StatusOf, _ time.Time) {
	services := []map[string]any{}
	for _, c := range closed {
		m := map[string]any{"environment": c.Environment, "service": c.Service, "team": c.Team, "run": c.Run.ID, "kind": c.Run.Plan.Kind,
			"status": c.Run.Status, "extent": c.Extent, "since": c.Since, "by": c.Run.Actor, "reason": c.Reason, "entrances": c.Entrances, "workloads": c.Workloads, "monitors": list(c.Monitors), "mutedUntil": c.MutedUntil, "overdueSeconds": int(c.Overdue.Seconds()),
			"autoOpen": c.AutoOpen, "keeper": c.Keeper}
		if !c.Until.IsZero() {
			m["until"] = c.Until
		}
		if c.Extension != nil {
			m["extended"] = c.Extension
		}
		if why := notOpened(c); why != "" {
			m["notOpened"] = why
		}
		if c.Missing > 0 {
			m["missing"] = c.Missing
		}
		if c.Trouble != nil {
			m["trouble"] = map[string]any{"run": c.Trouble.ID, "status": c.Trouble.Status, "by": c.Trouble.Actor, "until": c.Trouble.Plan.Until}
		}
		if by := c.Run.Adopted; !by.IsZero() {
			m["adoptedBy"], m["adoptedAt"] = by.By, by.At
		}
		services = append(services, m)
	}
	ids := []string{}
	for _, r := range unfinished {
		ids = append(ids, r.ID)
	}
	j.put(j.Out, "status", map[string]any{"closed": services, "unfinished": ids, "stateDirectory": asked.StateDir})
}

// Sights prints {"type":"sights","request":…,"sights":[…]}.
func (j JSON) Sights(request string, sights []control.Sight) {
	j.put(j.Out, "sights", map[string]any{"request": request, "sights": sights})
}

// Say prints {"type":"message","text":…} on Err.
func (j JSON) Say(format string, args ...any) {
	j.put(j.Err, "message", map[string]any{"text": fmt.Sprintf(format, args...)})
}

// Result prints {"type":"result","value":…}.
func (j JSON) Result(_ string, value any) { j.put(j.Out, "result", map[string]any{"value": value}) }

// Fault prints {"type":"error","code":…,"exit":…,…} on Err, one a fault.
func (j JSON) Fault(err error) {
	for _, f := range fault.Of(err) {
		j.put(j.Err, "error", map[string]any{"code": f.Code, "exit": f.Code.Exit(), "summary": f.Summary, "detail": f.Detail,
			"at": f.At, "left": f.Left, "try": f.Try})
	}
}
