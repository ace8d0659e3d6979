package newrelic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// book is the muting rules of an account, in NerdGraph.
// Source: newrelic-client-go pkg/alerts/muting_rules.go and
// https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-api-muting-rules-suppress-notifications/
type book struct {
	http    *vendorhttp.Client
	url     string
	account int
	now     func() time.Time
}

const (
	listRules = `query($accountId: Int!) { actor { account(id: $accountId) { alerts { mutingRules {
id name description enabled condition { operator conditions { attribute operator values } } schedule { startTime endTime timeZone repeat } } } } } }`
	createRule = `mutation($accountId: Int!, $rule: AlertsMutingRuleInput!) { alertsMutingRuleCreate(accountId: $accountId, rule: $rule) { id } }`
	updateRule = `mutation($accountId: Int!, $id: ID!, $rule: AlertsMutingRuleUpdateInput!) { alertsMutingRuleUpdate(accountId: $accountId, id: $id, rule: $rule) { id } }`
	deleteRule = `mutation($accountId: Int!, $id: ID!) { alertsMutingRuleDelete(accountId: $accountId, id: $id) { id } }`
)

type rule struct {
	ID          string    `json:"id,omitempty"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Enabled     bool      `json:"enabled"`
	Condition   What      `json:"condition"`
	Schedule    *schedule `json:"schedule"`
}

// A schedule has times without an offset, in the zone that it names.
type schedule struct {
	StartTime *string `json:"startTime,omitempty"`
	EndTime   *string `json:"endTime,omitempty"`
	TimeZone  string  `json:"timeZone"`
	// Repeat is only read.
	Repeat *string `json:"repeat,omitempty"`
}

// naive is how NerdGraph writes times without an offset.
const naive = "2006-01-02T15:04:05"

func (s *schedule) at(text *string) time.Time {
	if text == nil {
		return time.Time{}
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(naive, *text, zone)
	if err != nil {
		if t, err = time.Parse(time.RFC3339, *text); err != nil {
			return time.Time{}
		}
	}
	return t.UTC()
}

// List implements mute.Book. A rule stays when its schedule has ended; it is over,
// as is one that is switched off.
func (b *book) List(ctx context.Context) ([]mute.Entry[What], error) {
	var data struct {
		Actor struct {
			Account *struct {
				Alerts struct {
					MutingRules []rule `json:"mutingRules"`
				} `json:"alerts"`
			} `json:"account"`
		} `json:"actor"`
	}
	if err := b.call(ctx, "its muting rules", listRules, nil, &data); err != nil {
		return nil, err
	}
	if data.Actor.Account == nil {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "no such account", Detail: fmt.Sprintf("New Relic shows noren's key no account %d. Is it in this region?", b.account)}
	}
	var out []mute.Entry[What]
	for _, r := range data.Actor.Account.Alerts.MutingRules {
		e := mute.Entry[What]{ID: r.ID, Text: r.Name + "\n" + r.Description, What: r.Condition}
		for i, c := range e.What.Conditions {
			if c.Values == nil {
				e.What.Conditions[i].Values = []string{}
			}
		}
		if s := r.Schedule; s != nil {
			e.Since, e.Until, e.Recurring = s.at(s.StartTime), s.at(s.EndTime), s.Repeat != nil && *s.Repeat != ""
		}
		ended := !e.Recurring && !e.Until.IsZero() && !e.Until.After(b.now())
		if r.Enabled && !ended {
			out = append(out, e)
		}
	}
	return out, nil
}

func input(e mute.Entry[What]) rule {
	start, end := e.Since.UTC().Format(naive), e.Until.UTC().Format(naive)
	return rule{Name: "noren", Description: e.Text, Enabled: true, Condition: e.What, Schedule: &schedule{StartTime: &start, EndTime: &end, TimeZone: "UTC"}}
}

// Create implements mute.Book.
func (b *book) Create(ctx context.Context, e mute.Entry[What]) error {
	return b.call(ctx, "a muting rule", createRule, map[string]any{"rule": input(e)}, nil)
}

// Change implements mute.Book.
func (b *book) Change(ctx context.Context, have, want mute.Entry[What]) error {
	want.What = have.What
	if !have.Since.IsZero() {
		want.Since = have.Since
	}
	return b.call(ctx, "muting rule "+have.ID, updateRule, map[string]any{"id": have.ID, "rule": input(want)}, nil)
}

// Remove implements mute.Book.
func (b *book) Remove(ctx context.Context, e mute.Entry[What]) error {
	err := b.call(ctx, "muting rule "+e.ID, deleteRule, map[string]any{"id": e.ID}, nil)
	if errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		return nil
	}
	return err
}

// A problem is one of the errors that come with status 200.
type problem struct {
	Message    string `json:"message"`
	Extensions struct {
		ErrorClass string `json:"errorClass"`
		Code       string `json:"code"`
	} `json:"extensions"`
}

func (b *book) call(ctx context.Context, what, query string, variables map[string]any, into any) error {
	all := map[string]any{"accountId": b.account}
	for k, v := range variables {
		all[k] = v
	}
	var got struct {
		Data   json.RawMessage `json:"data"`
		Errors []problem       `json:"errors"`
	}
	if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPost, Body: map[string]any{"query": query, "variables": all}, What: what}, &got); err != nil {
		return err
	}
	if len(got.Errors) > 0 {
		return b.refused(what, got.Errors)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(got.Data, into); err != nil {
		return fmt.Errorf("new relic: %s: %w", what, err)
	}
	return nil
}

// refused says what errors mean. NerdGraph has classes for some, words for others.
func (b *book) refused(what string, errs []problem) error {
	var said []string
	f := &fault.Fault{Code: fault.Invalid, Summary: "New Relic refuses it"}
	for _, e := range errs {
		said = append(said, e.Message)
		switch class := strings.ToUpper(e.Extensions.ErrorClass + " " + e.Extensions.Code); {
		case strings.Contains(class, "NOT_FOUND"):
			f.Code, f.Summary = fault.NotFound, "not found in New Relic"
		case strings.Contains(class, "FORBIDDEN"), strings.Contains(class, "UNAUTH"), strings.Contains(class, "ACCESS_DENIED"):
			f.Code, f.Summary = fault.Denied, "New Relic refuses the key"
		case strings.Contains(class, "TIMEOUT"), strings.Contains(class, "SERVER_ERROR"), strings.Contains(class, "TOO_MANY"), strings.Contains(class, "THROTTL"):
			f.Code, f.Summary, f.Err = fault.Unavailable, "New Relic cannot do it now", action.ErrUnavailable
		}
	}
	f.Detail = fmt.Sprintf("New Relic about %s: %s.", what, strings.TrimSuffix(b.http.Clean(strings.Join(said, "; ")), "."))
	return f
}

// ByHand implements mute.Book.
func (b *book) ByHand(e mute.Entry[What]) string {
	return fmt.Sprintf(`curl -H "API-Key: $NEW_RELIC_API_KEY" -H 'Content-Type: application/json' %s -d '{"query":"mutation{alertsMutingRuleDelete(accountId:%d,id:\"%s\"){id}}"}'`, b.url, b.account, e.ID)
}
