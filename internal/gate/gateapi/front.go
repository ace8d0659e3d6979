package gateapi

import (
	"net/http"

	"github.com/noren-dev/noren/internal/edge"
)

// Rules returns the doors as rules in the order in which a gate takes them,
// and for each rule the index of its door. A closed door's curtain stands
// right in front of it, so that a door for any host, which comes last, shuts
// none of the others when it closes.
func Rules(doors []Door) (rules []edge.Rule, owner []int) {
	for i, d := range doors {
		if d.Closed != nil {
			rules = append(rules, edge.Curtain(Behind(d, d.Closed.Closing))...)
		}
		rules = append(rules, edge.Rule{
			Name:       "door " + d.Name,
			Conditions: hostCondition(d.Hosts),
			Action:     edge.Action{Kind: edge.Forward, Backend: d.Backend},
		})
		for len(owner) < len(rules) {
			owner = append(owner, i)
		}
	}
	return rules, owner
}

// Behind returns c as it is in front of d: a closing that names no host is for
// the hosts of its door, not for those of all doors of the gate.
func Behind(d Door, c edge.Closing) edge.Closing {
	if len(c.Hosts) == 0 {
		c.Hosts = d.Hosts
	}
	return c
}

// Front returns a whole gate as a front door.
func Front(g Gate) edge.Front {
	rules, _ := Rules(g.Doors)
	var f edge.Front
	for _, l := range g.Listeners {
		f.Listeners = append(f.Listeners, edge.Listener{Scheme: l.Scheme, Port: l.Port, Rules: rules, Default: NoDoor()})
	}
	return f
}

// NoDoor is what a gate answers for a host that no door serves.
func NoDoor() edge.Action {
	return edge.Action{Kind: edge.Respond, Response: &edge.Response{
		Status:      http.StatusNotFound,
		ContentType: "text/plain; charset=utf-8",
		Body:        "404: this gate has no door for that host.\n",
	}}
}

func hostCondition(hosts []string) []edge.Condition {
	if len(hosts) == 0 {
		return nil
	}
	return []edge.Condition{{Field: edge.Host, Values: hosts}}
}
