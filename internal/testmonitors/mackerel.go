package testmonitors

import (
	"net/http"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/published"
)

type mkDowntime struct {
	ID            string   `json:"id,omitempty"`
	Name          string   `json:"name"`
	Memo          string   `json:"memo"`
	Start         *int64   `json:"start"`
	Duration      *int64   `json:"duration"`
	ServiceScopes []string `json:"serviceScopes,omitempty"`
	RoleScopes    []string `json:"roleScopes,omitempty"`
	MonitorScopes []string `json:"monitorScopes,omitempty"`
}

// Mackerel plays downtimes, the service shop with the role worker, and the monitor
// 2cSZzK3XfmG, which is critical.
// Source: https://mackerel.io/api-docs/entry/downtimes (name, start in seconds and
// duration in minutes are required; PUT takes the whole), mackerel-client-go.
func Mackerel() *Fake {
	f := &Fake{Now: time.Now}
	m := &mackerel{Fake: f}
	f.standing = func() []any {
		return those(m.all, func(x *mkDowntime) bool { return *x.Start+60**x.Duration > m.Now().Unix() })
	}
	f.colleague = func(until time.Time) {
		start, minutes := m.Now().Unix(), int64(until.Sub(m.Now())/time.Minute)
		m.all = append(m.all, &mkDowntime{ID: m.id("5ABCDEFG%04d"), Name: "a colleague's", Start: &start, Duration: &minutes, RoleScopes: []string{"shop: worker"}})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v0/downtimes", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"downtimes": some(m.all)})
	})
	mux.HandleFunc("POST /api/v0/downtimes", m.create)
	mux.HandleFunc("PUT /api/v0/downtimes/{id}", m.update)
	mux.HandleFunc("DELETE /api/v0/downtimes/{id}", m.remove)
	fixed := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, body) })
	}
	fixed("/api/v0/monitors", map[string]any{"monitors": []map[string]string{{"id": "2cSZzK3XfmG", "type": "external", "name": "shop"}}})
	fixed("/api/v0/services", map[string]any{"services": []map[string]any{{"name": "shop", "roles": []string{"worker"}}}})
	fixed("/api/v0/alerts", map[string]any{"alerts": []map[string]any{{"id": "1", "status": "CRITICAL", "monitorId": "2cSZzK3XfmG", "openedAt": 1780000000, "message": "503"},
		{"id": "2", "status": "WARNING", "monitorId": "other", "openedAt": 1780000000}}})
	f.Handler = published.Checked("mackerel", f.guarded(mux, map[string]string{"X-Api-Key": Key}, mkRefuse), nil)
	return f
}

func mkRefuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"error": map[string]string{"message": text}})
}

type mackerel struct {
	*Fake
	all []*mkDowntime
}

func (m *mackerel) read(w http.ResponseWriter, r *http.Request) *mkDowntime {
	var x mkDowntime
	err := strictly(r.Body, &x)
	wrong := ""
	switch {
	case err != nil:
		wrong = err.Error()
	case x.Name == "" || x.Start == nil || x.Duration == nil:
		wrong = "name, start and duration are required"
	case *x.Duration < 1:
		wrong = "duration must be at least one minute"
	case len(x.Memo) > 250:
		wrong = "memo is too long" // in this test
	case len(x.ServiceScopes)+len(x.RoleScopes)+len(x.MonitorScopes) == 0:
		wrong = "in this test nobody mutes the whole organisation"
	}
	if wrong != "" {
		mkRefuse(w, http.StatusBadRequest, wrong)
		return nil
	}
	return &x
}

func (m *mackerel) create(w http.ResponseWriter, r *http.Request) {
	if x := m.read(w, r); x != nil {
		x.ID = m.id("5ABCDEFG%04d")
		m.all = append(m.all, x)
		answer(w, http.StatusOK, x)
	}
}

func (m *mackerel) find(w http.ResponseWriter, r *http.Request) int {
	i := slices.IndexFunc(m.all, func(x *mkDowntime) bool { return x.ID == r.PathValue("id") })
	if i < 0 {
		mkRefuse(w, http.StatusNotFound, "Downtime not found.")
	}
	return i
}

func (m *mackerel) update(w http.ResponseWriter, r *http.Request) {
	i := m.find(w, r)
	if i < 0 {
		return
	}
	if x := m.read(w, r); x != nil {
		x.ID = m.all[i].ID
		m.all[i] = x
		answer(w, http.StatusOK, x)
	}
}

func (m *mackerel) remove(w http.ResponseWriter, r *http.Request) {
	if i := m.find(w, r); i >= 0 {
		answer(w, http.StatusOK, m.all[i])
		m.all = slices.Delete(m.all, i, i+1)
	}
}
