package testmonitors

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/published"
)

type ddDowntime struct {
	ID         string       `json:"id"`
	Type       string       `json:"type"`
	Attributes ddAttributes `json:"attributes"`
}

type ddAttributes struct {
	Message           *string      `json:"message"`
	Scope             string       `json:"scope,omitempty"`
	MonitorIdentifier *ddMonitorID `json:"monitor_identifier,omitempty"`
	Schedule          *ddSchedule  `json:"schedule,omitempty"`
	MuteFirst         bool         `json:"mute_first_recovery_notification"`
	Status            string       `json:"status,omitempty"`
	Created           time.Time    `json:"created,omitzero"`
}

type ddMonitorID struct {
	MonitorID   int64    `json:"monitor_id,omitempty"`
	MonitorTags []string `json:"monitor_tags,omitempty"`
}

type ddSchedule struct {
	Start *string `json:"start"`
	End   *string `json:"end"`
}

type ddBody struct {
	Data ddDowntime `json:"data"`
}

// Datadog plays downtimes of version 2 and the monitors of version 1: number 4711
// with the tag service:shop, and 4712.
// Source: https://docs.datadoghq.com/api/latest/downtimes/ (scope, monitor_identifier
// and an offset of zero are required, a downtime that was cancelled stays in the
// list), DataDog/datadog-api-client-go.
func Datadog() *Fake {
	f := &Fake{Now: time.Now}
	d := &datadog{Fake: f}
	f.standing = func() []any {
		return those(d.all, func(x *ddDowntime) bool { return x.Attributes.Status == "active" && d.ends(x) == "" })
	}
	f.colleague = func(until time.Time) {
		message, end := "a colleague's", until.Format(time.RFC3339)
		d.all = append(d.all, &ddDowntime{ID: d.id("00000000-0000-1234-0000-%012d"), Type: "downtime", Attributes: ddAttributes{Message: &message, Scope: "env:prod",
			MonitorIdentifier: &ddMonitorID{MonitorTags: []string{"service:shop"}}, Schedule: &ddSchedule{Start: d.stamp(), End: &end}, Status: "active", Created: d.Now()}})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/downtime", d.list)
	mux.HandleFunc("POST /api/v2/downtime", d.create)
	mux.HandleFunc("PATCH /api/v2/downtime/{id}", d.update)
	mux.HandleFunc("DELETE /api/v2/downtime/{id}", d.cancel)
	monitors := []map[string]any{{"id": 4711, "name": "Checkout errors", "tags": []string{"service:shop"}, "overall_state": "Alert"},
		{"id": 4712, "name": "Load", "tags": []string{"team:web"}, "overall_state": "OK"}}
	mux.HandleFunc("GET /api/v1/monitor/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, m := range monitors {
			if strconv.Itoa(m["id"].(int)) == r.PathValue("id") {
				answer(w, http.StatusOK, m)
				return
			}
		}
		ddRefuse(w, http.StatusNotFound, "Monitor not found")
	})
	mux.HandleFunc("GET /api/v1/monitor", func(w http.ResponseWriter, r *http.Request) {
		found := []map[string]any{}
		for _, m := range monitors {
			missing := slices.ContainsFunc(strings.Split(r.URL.Query().Get("monitor_tags"), ","), func(tag string) bool {
				return tag != "" && !slices.Contains(m["tags"].([]string), tag)
			})
			if !missing {
				found = append(found, m)
			}
		}
		answer(w, http.StatusOK, found)
	})
	f.Handler = published.Checked("datadog", f.guarded(mux, map[string]string{"DD-API-KEY": Key, "DD-APPLICATION-KEY": Key}, ddRefuse), nil)
	return f
}

func ddRefuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"errors": []map[string]any{{"title": "Generic Error", "detail": text}}})
}

type datadog struct {
	*Fake
	all []*ddDowntime
}

func (d *datadog) list(w http.ResponseWriter, r *http.Request) {
	for _, x := range d.all {
		if end, err := time.Parse(time.RFC3339, ddEnd(x)); err == nil && x.Attributes.Status == "active" && !end.After(d.Now()) {
			x.Attributes.Status = "ended"
		}
	}
	from, to := window(r, "page[offset]", "page[limit]", 30, len(d.all))
	answer(w, http.StatusOK, map[string]any{"data": some(d.all[from:to]), "meta": map[string]any{"page": map[string]int{"total_filtered_count": len(d.all)}}})
}

func ddEnd(x *ddDowntime) string {
	if s := x.Attributes.Schedule; s != nil && s.End != nil {
		return *s.End
	}
	return ""
}

// ends refuses an end that is not in UTC, or has passed.
func (d *datadog) ends(x *ddDowntime) string {
	end := ddEnd(x)
	if end == "" {
		return ""
	}
	t, err := time.Parse(time.RFC3339, end)
	switch {
	case err != nil || !strings.HasSuffix(end, "Z") && !strings.HasSuffix(end, "+00:00"):
		return "schedule.end must be ISO-8601 with a UTC offset of zero"
	case !t.After(d.Now()):
		return "schedule.end must be in the future"
	}
	return ""
}

func (d *datadog) create(w http.ResponseWriter, r *http.Request) {
	var b ddBody
	err := strictly(r.Body, &b)
	x := b.Data
	a := x.Attributes
	wrong := ""
	switch {
	case err != nil:
		wrong = err.Error()
	case x.Type != "downtime" || x.ID != "":
		wrong = "data.type must be downtime, and there is no data.id"
	case a.Scope == "":
		wrong = "scope is required"
	case a.MonitorIdentifier == nil || (a.MonitorIdentifier.MonitorID == 0) == (len(a.MonitorIdentifier.MonitorTags) == 0):
		wrong = "monitor_identifier must have exactly one of monitor_id and monitor_tags"
	case a.Message != nil && strings.Contains(*a.Message, "@"):
		wrong = "in this test nobody may be called by a message" // the real one would call
	default:
		wrong = d.ends(&x)
	}
	if wrong != "" {
		ddRefuse(w, http.StatusBadRequest, wrong)
		return
	}
	x.ID = d.id("00000000-0000-1234-0000-%012d")
	x.Attributes.Status, x.Attributes.Created = "active", d.Now()
	if x.Attributes.Schedule == nil {
		x.Attributes.Schedule = &ddSchedule{}
	}
	if x.Attributes.Schedule.Start == nil {
		x.Attributes.Schedule.Start = d.stamp()
	}
	d.all = append([]*ddDowntime{&x}, d.all...)
	answer(w, http.StatusOK, ddBody{x})
}

// stamp is now, as answers tell it.
func (d *datadog) stamp() *string {
	text := d.Now().UTC().Format(time.RFC3339)
	return &text
}

func (d *datadog) find(w http.ResponseWriter, r *http.Request) *ddDowntime {
	i := slices.IndexFunc(d.all, func(x *ddDowntime) bool { return x.ID == r.PathValue("id") && x.Attributes.Status != "canceled" })
	if i < 0 {
		ddRefuse(w, http.StatusNotFound, "Downtime not found")
		return nil
	}
	return d.all[i]
}

func (d *datadog) update(w http.ResponseWriter, r *http.Request) {
	x := d.find(w, r)
	if x == nil {
		return
	}
	var b ddBody
	err := strictly(r.Body, &b)
	wrong := ""
	switch {
	case err != nil:
		wrong = err.Error()
	case b.Data.ID != x.ID || b.Data.Type != "downtime":
		wrong = "data.id and data.type are required"
	default:
		wrong = d.ends(&b.Data)
	}
	if wrong != "" {
		ddRefuse(w, http.StatusBadRequest, wrong)
		return
	}
	if b.Data.Attributes.Message != nil {
		x.Attributes.Message = b.Data.Attributes.Message
	}
	if s := b.Data.Attributes.Schedule; s != nil {
		if s.Start == nil {
			s.Start = x.Attributes.Schedule.Start
		}
		x.Attributes.Schedule = s
	}
	answer(w, http.StatusOK, ddBody{*x})
}

func (d *datadog) cancel(w http.ResponseWriter, r *http.Request) {
	if x := d.find(w, r); x != nil {
		x.Attributes.Status = "canceled"
		w.WriteHeader(http.StatusNoContent)
	}
}
