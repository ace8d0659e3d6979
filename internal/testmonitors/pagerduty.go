package testmonitors

import (
	"net/http"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/published"
)

type pdReference struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary,omitempty"`
}

type pdWindow struct {
	ID          string        `json:"id,omitempty"`
	Type        string        `json:"type"`
	StartTime   time.Time     `json:"start_time"`
	EndTime     time.Time     `json:"end_time"`
	Description string        `json:"description"`
	Services    []pdReference `json:"services"`
}

// PagerDuty plays maintenance windows, and the services PSHOP and PAPI.
// Source: PagerDuty/api-schema reference/REST/openapiv3.json (required fields, the
// header From, a start that has passed is moved to now, 405 for a window that has
// ended).
func PagerDuty() *Fake {
	f := &Fake{Now: time.Now}
	p := &pagerDuty{Fake: f}
	f.standing = func() []any { return those(p.all, func(x *pdWindow) bool { return x.EndTime.After(p.Now()) }) }
	f.colleague = func(until time.Time) {
		p.all = append(p.all, &pdWindow{ID: p.id("PW%05d"), Type: "maintenance_window", StartTime: p.Now(), EndTime: until, Description: "a colleague's",
			Services: []pdReference{{ID: "PSHOP", Type: "service_reference"}}})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /maintenance_windows", p.list)
	mux.HandleFunc("POST /maintenance_windows", p.create)
	mux.HandleFunc("PUT /maintenance_windows/{id}", p.update)
	mux.HandleFunc("DELETE /maintenance_windows/{id}", p.end)
	mux.HandleFunc("GET /services/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !pdKnown(r.PathValue("id")) {
			pdRefuse(w, http.StatusNotFound, "Not Found")
			return
		}
		answer(w, http.StatusOK, map[string]any{"service": pdReference{ID: r.PathValue("id"), Type: "service"}})
	})
	mux.HandleFunc("GET /incidents", func(w http.ResponseWriter, r *http.Request) {
		found := []any{}
		if slices.Contains(r.URL.Query()["service_ids[]"], "PSHOP") {
			found = append(found, map[string]any{"title": "Checkout is slow", "created_at": p.Now(), "service": pdReference{ID: "PSHOP", Type: "service_reference", Summary: "Shop"}})
		}
		answer(w, http.StatusOK, map[string]any{"incidents": found})
	})
	f.Handler = published.Checked("pagerduty", f.guarded(mux, map[string]string{"Authorization": "Token token=" + Key, "Accept": "application/vnd.pagerduty+json;version=2"}, pdRefuse), nil)
	return f
}

func pdKnown(id string) bool { return id == "PSHOP" || id == "PAPI" }

func pdRefuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": 2001, "message": "Invalid Input Provided", "errors": []string{text}}})
}

type pagerDuty struct {
	*Fake
	all []*pdWindow
}

func (p *pagerDuty) list(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("filter") != "open" {
		pdRefuse(w, http.StatusBadRequest, "in this test, filter is open")
		return
	}
	open := slices.DeleteFunc(slices.Clone(p.all), func(x *pdWindow) bool { return !x.EndTime.After(p.Now()) })
	from, to := window(r, "offset", "limit", 25, len(open))
	answer(w, http.StatusOK, map[string]any{"maintenance_windows": some(open[from:to]), "more": to < len(open), "limit": to - from, "offset": from})
}

// read decodes and checks a window; it answers what is wrong.
func (p *pagerDuty) read(w http.ResponseWriter, r *http.Request) *pdWindow {
	var b struct {
		Window pdWindow `json:"maintenance_window"`
	}
	err := strictly(r.Body, &b)
	x := b.Window
	wrong := ""
	switch {
	case err != nil:
		wrong = err.Error()
	case r.Method == http.MethodPost && r.Header.Get("From") == "":
		wrong = "From header is required"
	case x.Type != "maintenance_window" || x.StartTime.IsZero() || x.EndTime.IsZero() || len(x.Services) == 0:
		wrong = "type, start_time, end_time and services are required"
	case !x.EndTime.After(p.Now()) || !x.EndTime.After(x.StartTime):
		wrong = "End time must be in the future and after the start time"
	case len(x.Description) > 255:
		wrong = "Description is too long" // in this test
	}
	for _, s := range x.Services {
		if wrong == "" && (!pdKnown(s.ID) || s.Type != "service_reference") {
			wrong = "Service " + s.ID + " is not found"
		}
	}
	if wrong != "" {
		pdRefuse(w, http.StatusBadRequest, wrong)
		return nil
	}
	if x.StartTime.Before(p.Now()) {
		x.StartTime = p.Now()
	}
	return &x
}

func (p *pagerDuty) create(w http.ResponseWriter, r *http.Request) {
	if x := p.read(w, r); x != nil {
		x.ID = p.id("PW%05d")
		p.all = append(p.all, x)
		answer(w, http.StatusCreated, map[string]any{"maintenance_window": x})
	}
}

func (p *pagerDuty) find(w http.ResponseWriter, r *http.Request) *pdWindow {
	i := slices.IndexFunc(p.all, func(x *pdWindow) bool { return x.ID == r.PathValue("id") })
	switch {
	case i < 0:
		pdRefuse(w, http.StatusNotFound, "Not Found")
	case !p.all[i].EndTime.After(p.Now()):
		pdRefuse(w, http.StatusMethodNotAllowed, "The window has ended")
	default:
		return p.all[i]
	}
	return nil
}

func (p *pagerDuty) update(w http.ResponseWriter, r *http.Request) {
	have := p.find(w, r)
	if have == nil {
		return
	}
	if x := p.read(w, r); x != nil {
		x.ID, x.StartTime = have.ID, have.StartTime
		*have = *x
		answer(w, http.StatusOK, map[string]any{"maintenance_window": have})
	}
}

func (p *pagerDuty) end(w http.ResponseWriter, r *http.Request) {
	if x := p.find(w, r); x != nil {
		x.EndTime = p.Now()
		w.WriteHeader(http.StatusNoContent)
	}
}
