package awsclient

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
)

// A statement is one of an IAM policy.
type statement struct {
	Sid      string   `json:"Sid,omitempty"`
	Effect   string   `json:"Effect"`
	Action   []string `json:"Action"`
	Resource []string `json:"Resource"`
}

// Policy is the smallest IAM policy, as JSON, that grants the permissions:
// actions on the same resources share a statement. A permission without a
// resource is for all, which AWS demands of most actions that only read.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func Policy(need []action.Permission) string {
	resources := map[string]map[string]bool{} // by action
	for _, p := range need {
		if resources[p.Verb] == nil {
			resources[p.Verb] = map[string]bool{}
		}
		resources[p.Verb][cmp.Or(p.Resource, "*")] = true
	}
	actions := map[string][]string{} // by resources
	for _, verb := range slices.Sorted(maps.Keys(resources)) {
		on := slices.Sorted(maps.Keys(resources[verb]))
		if slices.Contains(on, "*") {
			on = []string{"*"}
		}
		key := strings.Join(on, "\n")
		actions[key] = append(actions[key], verb)
	}
	document := struct {
		Version   string
		Statement []statement
	}{Version: "2012-10-17"}
	for _, key := range slices.Sorted(maps.Keys(actions)) {
		document.Statement = append(document.Statement, statement{Effect: "Allow", Action: actions[key], Resource: strings.Split(key, "\n")})
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil { // strings alone
		return ""
	}
	return string(text)
}
