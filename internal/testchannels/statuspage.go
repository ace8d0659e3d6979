package testchannels

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Statuspage is a page of Statuspage as far as noren uses it. It refuses fields
// and words that the API does not have.
type Statuspage struct {
	Ledger
	strictness strictness
	Key        string
	Page       string
	Components map[string]string // status, by id
	// LoseAnswer lets the next write be carried out and not answered.
	LoseAnswer bool

	state     sync.Mutex
	incidents []map[string]any
	writes    int
	calls     int
}

// Calls counts what it was asked since the last time.
func (s *Statuspage) Calls() int {
	s.state.Lock()
	defer s.state.Unlock()
	n := s.calls
	s.calls = 0
	return n
}

// fields are those of an incident that can be written.
// Source: https://developer.statuspage.io
var fields = []string{"name", "status", "impact_override", "scheduled_for", "scheduled_until", "scheduled_remind_prior", "scheduled_auto_in_progress",
	"scheduled_auto_completed", "metadata", "deliver_notifications", "body", "components", "component_ids"}

// Do changes the page as a person would, under its lock.
func (s *Statuspage) Do(f func(incidents []map[string]any, components map[string]string)) {
	s.state.Lock()
	defer s.state.Unlock()
	f(s.incidents, s.Components)
	s.writes++
}

// Component is the status of one.
func (s *Statuspage) Component(id string) string {
	s.state.Lock()
	defer s.state.Unlock()
	return s.Components[id]
}

// Colleague announces a maintenance that is none of noren's, and a component's
// trouble with it.
func (s *Statuspage) Colleague() {
	s.state.Lock()
	defer s.state.Unlock()
	s.incidents = append(s.incidents, map[string]any{"id": fmt.Sprintf("inc%d", len(s.incidents)+1), "name": "a colleague's", "status": "in_progress", "metadata": map[string]any{},
		"scheduled_for": "2026-11-23T14:00:00Z", "scheduled_until": "2099-11-23T15:00:00Z"})
}

// Standing is what visitors see now: the maintenances in progress, and what is not
// operational.
func (s *Statuspage) Standing() []string {
	s.state.Lock()
	defer s.state.Unlock()
	var all []string
	for _, i := range s.active() {
		raw, err := json.Marshal(i)
		if err != nil {
			raw = []byte(err.Error())
		}
		all = append(all, string(raw))
	}
	for id, status := range s.Components {
		if status != "operational" {
			all = append(all, id+" "+status)
		}
	}
	slices.Sort(all)
	return all
}

// Writes counts what was written.
func (s *Statuspage) Writes() int {
	s.state.Lock()
	defer s.state.Unlock()
	return s.writes
}

// Incidents counts all that there ever were.
func (s *Statuspage) Incidents() int {
	s.state.Lock()
	defer s.state.Unlock()
	return len(s.incidents)
}

// ServeHTTP answers one call.
func (s *Statuspage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.strictness.serve("statuspage", s.answer, s.Wrong, w, r)
}

func (s *Statuspage) answer(w http.ResponseWriter, r *http.Request) {
	if s.isDown() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.state.Lock()
	defer s.state.Unlock()
	s.calls++
	path, ok := strings.CutPrefix(r.URL.Path, "/pages/"+s.Page+"/")
	switch {
	case r.Header.Get("Authorization") != "OAuth "+s.Key:
		http.Error(w, `{"error":"Could not authenticate"}`, http.StatusUnauthorized)
		return
	case !ok:
		http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
		return
	}
	kind, id, _ := strings.Cut(path, "/")
	var answer any
	var err error
	code := http.StatusOK
	switch {
	case r.Method == http.MethodGet && kind == "components" && s.Components[id] != "":
		answer = map[string]string{"id": id, "status": s.Components[id]}
	case r.Method == http.MethodGet && path == "components":
		all := []map[string]string{}
		for id, status := range s.Components {
			all = append(all, map[string]string{"id": id, "status": status})
		}
		answer = all
	case r.Method == http.MethodGet && path == "incidents/active_maintenance":
		answer = s.active()
	case r.Method == http.MethodPost && path == "incidents":
		code = http.StatusCreated
		answer, err = s.create(r)
	case r.Method == http.MethodPatch && kind == "incidents":
		answer, err = s.change(r, id)
	case r.Method == http.MethodPatch && kind == "components" && s.Components[id] != "":
		answer, err = s.setComponent(r, id)
	default:
		http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
		return
	}
	if err != nil {
		s.Wrong("%v", err)
		http.Error(w, fmt.Sprintf(`{"error":[%q]}`, err.Error()), http.StatusUnprocessableEntity)
		return
	}
	if r.Method != http.MethodGet {
		if s.writes++; s.LoseAnswer {
			s.LoseAnswer = false
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *Statuspage) active() []map[string]any {
	found := []map[string]any{}
	for _, i := range s.incidents {
		if i["status"] == "in_progress" || i["status"] == "verifying" {
			found = append(found, i)
		}
	}
	return found
}

func (s *Statuspage) setComponent(r *http.Request, id string) (any, error) {
	var q struct{ Component struct{ Status string } }
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	s.Took("component %s %s", id, q.Component.Status)
	return map[string]string{"id": id, "status": q.Component.Status}, s.status(id, q.Component.Status)
}

func (s *Statuspage) status(id, status string) error {
	if !slices.Contains([]string{"operational", "under_maintenance", "degraded_performance", "partial_outage", "major_outage"}, status) {
		return fmt.Errorf("component status %q", status)
	}
	if s.Components[id] == "" {
		return fmt.Errorf("component %q", id)
	}
	s.Components[id] = status
	return nil
}

func (s *Statuspage) create(r *http.Request) (any, error) {
	i, err := s.read(r)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"name", "scheduled_for", "scheduled_until"} {
		if v, _ := i[name].(string); v == "" {
			return nil, fmt.Errorf("%s is required", name)
		}
	}
	i["id"] = fmt.Sprintf("inc%d", len(s.incidents)+1)
	if err := s.merge(map[string]any{}, i); err != nil {
		return nil, err
	}
	s.incidents = append(s.incidents, i)
	s.Took("created %s %q until %s", i["status"], i["name"], i["scheduled_until"])
	return i, nil
}

func (s *Statuspage) change(r *http.Request, id string) (any, error) {
	q, err := s.read(r)
	if err != nil {
		return nil, err
	}
	for _, i := range s.incidents {
		if i["id"] == id {
			if err := s.merge(i, q); err != nil {
				return nil, err
			}
			s.Took("changed %s %q until %s", i["status"], i["name"], i["scheduled_until"])
			return i, nil
		}
	}
	return nil, fmt.Errorf("no incident %s", id)
}

func (s *Statuspage) read(r *http.Request) (map[string]any, error) {
	var q struct{ Incident map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Incident == nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	for name := range q.Incident {
		if !slices.Contains(fields, name) {
			return nil, fmt.Errorf("field %s", name)
		}
	}
	return q.Incident, nil
}

// merge writes an incident as the API would.
func (s *Statuspage) merge(i, q map[string]any) error {
	at := func(name string) (time.Time, error) {
		v, ok := q[name].(string)
		if !ok {
			v, _ = i[name].(string)
		}
		return time.Parse(time.RFC3339, v)
	}
	begin, err := at("scheduled_for")
	if err != nil {
		return err
	}
	end, err := at("scheduled_until")
	if err != nil || !end.After(begin) {
		return fmt.Errorf("scheduled_until %v is not after %v: %w", end, begin, err)
	}
	if status, ok := q["status"]; ok && !slices.Contains([]any{"scheduled", "in_progress", "verifying", "completed"}, status) {
		return fmt.Errorf("status %v", status)
	}
	if all, ok := q["components"].(map[string]any); ok {
		for id, status := range all {
			if err := s.status(id, fmt.Sprint(status)); err != nil {
				return err
			}
		}
	}
	for name, v := range q {
		if name != "components" && name != "deliver_notifications" {
			i[name] = v
		}
	}
	return nil
}
