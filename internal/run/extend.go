package run

import (
	"slices"
	"time"
)

// An Extension is a moving of the end of a closing.
type Extension struct {
	At       time.Time `json:"at"`
	Run      string    `json:"run"` // that showed customers the new end
	Actor    string    `json:"by"`
	From     time.Time `json:"from,omitzero"` // zero if no end was given before
	Until    time.Time `json:"until"`
	Services []string  `json:"services,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// ExtendedBy makes the event by which a closing is told that a run, which has
// just shown its new end to customers, moved its end.
func ExtendedBy(r *Run, closing *Run) Event {
	d := Data{Actor: r.Actor, By: r.ID, Until: r.Plan.Until, Text: r.Plan.Reason}
	for _, s := range r.Plan.Services {
		d.Services = append(d.Services, s.Name)
		d.From = closing.UntilOf(s.Name)
	}
	return Event{Run: closing.ID, Type: Extended, Data: d}
}

func (r *Run) extended(e Event) {
	d := e.Data
	r.Extensions = append(r.Extensions, Extension{At: e.At, Run: d.By, Actor: d.Actor, From: d.From, Until: d.Until, Services: d.Services, Reason: d.Text})
	r.Until = d.Until
	for _, s := range r.Plan.Services {
		if u := r.UntilOf(s.Name); u.After(r.Until) {
			r.Until = u
		}
	}
}

// UntilOf is when a service of the closing is expected to open, zero if nobody
// said.
func (r *Run) UntilOf(service string) time.Time {
	if e := r.LastExtension(service); e != nil {
		return e.Until
	}
	return r.Plan.Until
}

// LastExtension is the one that gave a service its end, nil if the plan did.
func (r *Run) LastExtension(service string) *Extension {
	for i, e := range slices.Backward(r.Extensions) {
		if len(e.Services) == 0 || slices.Contains(e.Services, service) {
			return &r.Extensions[i]
		}
	}
	return nil
}
