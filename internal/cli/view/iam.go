package view

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/noren-dev/noren/internal/control"
)

// mostPolicy is how many characters a managed policy may have, white space not
// counted. Source:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const mostPolicy = 6144

// Policies prints each policy, with the name of its cluster where there are
// several. What else there is to say goes to where messages go.
func (h Human) Policies(policies []control.Policy) {
	for i, p := range policies {
		if len(policies) > 1 {
			if i > 0 {
				h.print("\n")
			}
			h.print("# %s\n", path.Join(p.Environment, p.Cluster))
		}
		h.print("%s\n", p.Text)
		for _, text := range remarks(p) {
			h.Say("%s", text)
		}
	}
}

// Policies prints {"type":"policy","environment":…,"cluster":…,"policy":{…}} for
// each.
func (j JSON) Policies(policies []control.Policy) {
	for _, p := range policies {
		j.put(j.Out, "policy", map[string]any{"environment": p.Environment, "cluster": p.Cluster, "policy": json.RawMessage(p.Text), "silent": list(p.Silent)})
		for _, text := range remarks(p) {
			j.Say("%s", text)
		}
	}
}

// remarks are what there is to say of a policy.
func remarks(p control.Policy) []string {
	var all []string
	if n := len(strings.Join(strings.Fields(p.Text), "")); n > mostPolicy {
		all = append(all, fmt.Sprintf("The policy has %d characters, and a managed policy may have %d: use an inline policy of a role (10240), or split it.", n, mostPolicy))
	}
	if len(p.Silent) > 0 {
		all = append(all, "Not in the policy, since they do not say what they need: "+strings.Join(p.Silent, ", "))
	}
	return all
}
