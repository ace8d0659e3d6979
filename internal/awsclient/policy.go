package awsclient

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// A statement is one of an IAM policy.
type statement struct {
	Sid      string   `json:"Sid,omitempty"`
	Effect   string   `json:"Effect"`
	Action   []string `json:"Action"`
	Resource []string `json:"Resource"`
}

// Policy is the smallest IAM policy, as JSON, that grants the permissions. A
// permission without a resource is for all, which AWS demands of most actions
// that only read.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func Policy(need []action.Permission) string {
	return PolicyFor([]driver.Purpose{{Need: need}})
}

// PolicyFor is the smallest IAM policy for several purposes. Statements say in
// their Sid what they are for, and grant nothing that an earlier purpose has for
// all resources: each purpose can be taken out, those after it alone aside.
func PolicyFor(purposes []driver.Purpose) string {
	document := struct {
		Version   string
		Statement []statement
	}{Version: "2012-10-17"}
	whole := map[string]bool{} // actions granted for all resources
	for _, p := range purposes {
		need := slices.DeleteFunc(slices.Clone(p.Need), func(n action.Permission) bool { return whole[n.Verb] })
		all := statements(need)
		for i := range all {
			if p.Name != "" {
				all[i].Sid = p.Name
			}
			if p.Name != "" && len(all) > 1 { // a Sid is unique
				all[i].Sid += strconv.Itoa(i + 1)
			}
			if slices.Contains(all[i].Resource, "*") {
				for _, verb := range all[i].Action {
					whole[verb] = true
				}
			}
		}
		document.Statement = append(document.Statement, all...)
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil { // strings alone
		return ""
	}
	return string(text)
}

// statements grant permissions: actions on the same resources share one.
func statements(need []action.Permission) []statement {
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
	var all []statement
	for _, key := range slices.Sorted(maps.Keys(actions)) {
		all = append(all, statement{Effect: "Allow", Action: actions[key], Resource: strings.Split(key, "\n")})
	}
	return all
}

// Rights are permissions for actions on all resources.
func Rights(why string, verbs ...string) []action.Permission {
	var all []action.Permission
	for _, verb := range verbs {
		all = append(all, action.Permission{System: "aws", Verb: verb, Why: why})
	}
	return all
}
