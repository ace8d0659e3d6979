package testmonitors

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/published"
)

// nrAccount is the number of the account that NewRelic has.
const nrAccount = 12345

type nrRule struct {
	ID          string       `json:"id,omitempty"`
	Name        *string      `json:"name"`
	Description string       `json:"description"`
	Enabled     *bool        `json:"enabled"`
	Condition   *nrCondition `json:"condition"`
	Schedule    *nrSchedule  `json:"schedule"`
}

// told is a rule as answers tell it: its times have an offset.
func (x *nrRule) told() nrRule {
	told := *x
	if x.Schedule == nil {
		return told
	}
	s := *x.Schedule
	if zone, err := time.LoadLocation(s.TimeZone); err == nil {
		for _, text := range []*string{&s.StartTime, &s.EndTime} {
			if t, err := time.ParseInLocation(nrNaive, *text, zone); err == nil {
				*text = t.Format("2006-01-02T15:04:05-07:00")
			}
		}
	}
	told.Schedule = &s
	return told
}

type nrCondition struct {
	Operator   string   `json:"operator"`
	Conditions []nrPart `json:"conditions"`
}

type nrPart struct {
	Attribute string   `json:"attribute"`
	Operator  string   `json:"operator"`
	Values    []string `json:"values"`
}

// nrNaive is how times are written, in the zone beside them.
const nrNaive = "2006-01-02T15:04:05"

type nrSchedule struct {
	StartTime string `json:"startTime"`
	EndTime   string `json:"endTime"`
	TimeZone  string `json:"timeZone"`
}

// NewRelic plays muting rules of NerdGraph, of account 12345. It knows four
// documents by the field that each asks for, and no GraphQL.
// Source: newrelic-client-go pkg/alerts/muting_rules.go (required fields, times
// without an offset beside a zone, errors with status 200).
func NewRelic() *Fake {
	f := &Fake{Now: time.Now}
	f.IsRead = NerdGraphReads
	n := &newRelic{Fake: f}
	f.standing = func() []any { return those(n.all, func(x *nrRule) bool { return n.wrong(x) == "" }) }
	f.colleague = func(until time.Time) {
		name, enabled := "a colleague's", true
		n.all = append(n.all, &nrRule{ID: n.id("%d"), Name: &name, Enabled: &enabled, Schedule: &nrSchedule{StartTime: n.Now().UTC().Format(nrNaive), EndTime: until.Format(nrNaive), TimeZone: "UTC"},
			Condition: &nrCondition{Operator: "AND", Conditions: []nrPart{{"policyName", "EQUALS", []string{"Shop"}}}}})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", n.serve)
	f.Handler = published.Checked("newrelic", f.guarded(mux, map[string]string{"API-Key": Key}, func(w http.ResponseWriter, status int, text string) {
		answer(w, status, map[string]any{"error": map[string]string{"title": text}})
	}), nil)
	return f
}

// NerdGraphReads tells which requests to NerdGraph only read.
func NerdGraphReads(_, _ string, body []byte) bool { return !bytes.Contains(body, []byte("mutation(")) }

type newRelic struct {
	*Fake
	all []*nrRule
}

func nrRefuse(w http.ResponseWriter, class, text string) {
	answer(w, http.StatusOK, map[string]any{"data": nil, "errors": []map[string]any{{"message": text, "extensions": map[string]string{"errorClass": class}}}})
}

func (n *newRelic) serve(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Query     string `json:"query"`
		Variables struct {
			AccountID int     `json:"accountId"`
			ID        string  `json:"id"`
			Rule      *nrRule `json:"rule"`
		} `json:"variables"`
	}
	if err := strictly(r.Body, &b); err != nil {
		nrRefuse(w, "BAD_USER_INPUT", err.Error())
		return
	}
	v := b.Variables
	i := slices.IndexFunc(n.all, func(x *nrRule) bool { return x.ID == v.ID })
	made := func(field, id string) {
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{field: map[string]string{"id": id}}})
	}
	switch q := b.Query; {
	case v.AccountID != nrAccount:
		nrRefuse(w, "ACCESS_DENIED", "You don't have access to that account")
	case strings.Contains(q, "alertsMutingRuleCreate("):
		if n.right(w, v.Rule) {
			v.Rule.ID = n.id("%d")
			n.all = append(n.all, v.Rule)
			made("alertsMutingRuleCreate", v.Rule.ID)
		}
	case strings.Contains(q, "mutingRules"):
		rules := []nrRule{}
		for _, x := range n.all {
			rules = append(rules, x.told())
		}
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"actor": map[string]any{"account": map[string]any{"alerts": map[string]any{"mutingRules": rules}}}}})
	case i < 0:
		nrRefuse(w, "NOT_FOUND", "Not Found")
	case strings.Contains(q, "alertsMutingRuleUpdate("):
		if n.right(w, v.Rule) {
			v.Rule.ID = v.ID
			n.all[i] = v.Rule
			made("alertsMutingRuleUpdate", v.ID)
		}
	case strings.Contains(q, "alertsMutingRuleDelete("):
		n.all = slices.Delete(n.all, i, i+1)
		made("alertsMutingRuleDelete", v.ID)
	default:
		nrRefuse(w, "BAD_USER_INPUT", "Cannot query that field")
	}
}

func (n *newRelic) right(w http.ResponseWriter, x *nrRule) bool {
	wrong := n.wrong(x)
	if wrong != "" {
		nrRefuse(w, "BAD_USER_INPUT", wrong)
	}
	return wrong == ""
}

// wrong is what is wrong with a rule, "" if nothing is.
func (n *newRelic) wrong(x *nrRule) string {
	switch {
	case x == nil || x.Name == nil || x.Enabled == nil || x.Condition == nil:
		return "name, enabled and condition are required"
	case x.Condition.Operator != "AND" && x.Condition.Operator != "OR":
		return "condition.operator must be AND or OR"
	case len(x.Condition.Conditions) == 0 || len(x.Condition.Conditions) > 20:
		return "there must be 1 to 20 conditions"
	case x.Schedule == nil:
		return "in this test a rule without an end is refused"
	case len(x.Description) > 255:
		return "description is too long" // in this test
	}
	_, errStart := time.Parse(nrNaive, x.Schedule.StartTime)
	end, errEnd := time.Parse(nrNaive, x.Schedule.EndTime)
	if errStart != nil || errEnd != nil || x.Schedule.TimeZone == "" || !end.After(n.Now()) {
		return "schedule must have naive times and a time zone, and end in the future"
	}
	return ""
}
