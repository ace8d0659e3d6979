package published_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/published"
)

// TestChecked lets through what is published and nothing else, in both directions.
func TestChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, vendor, call, body string
		status                   int // of the stand-in
		answer                   string
		want                     int
		says                     string
	}{
		{"as published", "cachet", "PUT /api/schedules/3", `{"completed_at": "2026-11-24T00:30:00Z"}`, 200,
			`{"data": {"id": "3", "type": "schedules", "attributes": {"id": 3, "name": "x", "message": "y", "status": {"human": "Complete", "value": 2}, "scheduled": {"human": "a", "string": "2026-11-24 00:30:00"}, "completed": {"human": null, "string": null}}}}`, 200, ""},
		{"a time that is none", "cachet", "PUT /api/schedules/3", `{"completed_at": "half past"}`, 200, "", 400, "date-time"},
		{"a field too many", "cachet", "PUT /api/schedules/3", `{"status": 2}`, 200, "", 400, "status"},
		{"a call that is none", "cachet", "PATCH /api/schedules/3", `{}`, 200, "", 400, "PATCH /api/schedules/3"},
		{"an answer that is none", "cachet", "GET /api/schedules/3", "", 200, `{"data": {}}`, 500, "no such answer"},
		{"a status that is none", "mackerel", "POST /api/v0/downtimes", `{"name": "x", "start": 1, "duration": 1}`, 201, `{}`, 500, "status 201"},
		{"a body too many", "datadog", "DELETE /api/v2/downtime/1", `{}`, 204, "", 400, "has a body"},
		{"an offset", "datadog", "PATCH /api/v2/downtime/1", `{"data": {"id": "1", "type": "downtime", "attributes": {"schedule": {"end": "2026-11-24T00:30:00+09:00"}}}}`, 200, "", 400, "pattern"},
		{"both of two", "datadog", "POST /api/v2/downtime", `{"data": {"type": "downtime", "attributes": {"scope": "*", "monitor_identifier": {"monitor_id": 1, "monitor_tags": ["x"]}}}}`, 200, "", 400, "oneOf"},
		{"a refusal", "pagerduty", "GET /services/P1", "", 404, `{"error": {"message": "Not Found"}}`, 404, "Not Found"},
		{"a time with an offset", "newrelic", "POST /", `{"query": "mutation($accountId: Int!, $rule: AlertsMutingRuleInput!) { alertsMutingRuleCreate(accountId: $accountId, rule: $rule) { id } }", "variables": {"accountId": 1, "rule": {"name": "x", "enabled": true, "condition": {"operator": "AND", "conditions": [{"attribute": "policyName", "operator": "EQUALS", "values": ["x"]}]}, "schedule": {"startTime": "2026-11-24T00:30:00Z", "timeZone": "UTC"}}}}`, 200, "", 400, "anyOf"},
		{"an empty text", "slack", "POST /chat.postMessage", `{"channel": "C1", "text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}`, 200, "", 400, "minLength"},
		{"metadata of no object", "statuspage", "PATCH /pages/p1/incidents/i1", `{"incident": {"metadata": {"noren": "shop"}}}`, 200, "", 400, "metadata"},
		{"a vendor that is none", "nobody", "GET /", "", 200, "", 500, "nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			told := ""
			next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.answer))
			})
			method, path, _ := strings.Cut(c.call, " ")
			got := httptest.NewRecorder()
			published.Checked(c.vendor, next, func(_ string, args ...any) { told = args[1].(string) }).
				ServeHTTP(got, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(c.body)))
			if got.Code != c.want || !strings.Contains(got.Body.String(), c.says) {
				t.Errorf("status %d, want %d: %s", got.Code, c.want, got.Body)
			}
			if refused := c.want == 400 || c.want == 500 && c.vendor != "nobody"; refused != (told != "") {
				t.Errorf("told %q", told)
			}
		})
	}
}
