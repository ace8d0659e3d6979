package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// provable refuses a closing that could not be proved, unless the person said
// that it need not be: it would wait for minutes and then go back.
func (x *planner) provable() error {
	if x.req.Unproved {
		return nil
	}
	var lines []string
	for _, p := range x.places {
		for _, u := range x.unprovable(p) {
			lines = append(lines, fmt.Sprintf("  %s, at %s: %s", p.service.Name, cmp.Or(u.URL, p.survey.Target), u.Why))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	again := "noren close " + strings.Join(append(slices.Clone(x.req.Services), "--env", x.env.Name, "--unproved"), " ")
	return &fault.Fault{Code: fault.Invalid, Summary: "closing cannot be proved",
		Detail: "noren says that a service is closed when it has seen the page from outside, as customers do. It could not:\n" +
			strings.Join(lines, "\n") + "\nNothing was touched.",
		Try: []string{again + "   # close all the same, and look yourself"}}
}

// unprovable are the places at which the closing of an entrance could not be
// proved.
func (x *planner) unprovable(p *place) []driver.Unprovable {
	if len(x.urls(p)) == 0 {
		return []driver.Unprovable{{Why: "No public URL is known. Give the service a health URL."}}
	}
	return p.proposal.Unprovable
}

// provableURLs are the URLs at which the closing of an entrance is proved.
func (x *planner) provableURLs(p *place) []string {
	return slices.DeleteFunc(slices.Clone(x.urls(p)), func(url string) bool {
		return slices.ContainsFunc(p.proposal.Unprovable, func(u driver.Unprovable) bool { return u.URL == url })
	})
}

// urls are the addresses to prove: what the entrance says, or else the health
// URLs of the service.
func (x *planner) urls(p *place) []string {
	if p.proposal != nil && len(p.proposal.URLs) > 0 {
		return p.proposal.URLs
	}
	if len(p.survey.URLs) > 0 {
		return p.survey.URLs
	}
	return p.service.Health
}
