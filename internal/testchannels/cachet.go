package testchannels

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cachet is a page of Cachet 3 as far as noren uses it. As the real one, it gives
// times without a zone, and calls complete what has an end that has passed.
// Source: cachethq/core 9183688b (routes/api.php, src/Data/Requests/Schedule,
// src/Models/Schedule.php, src/Http/Resources).
type Cachet struct {
	Ledger
	strictness strictness
	Token      string
	Components map[int64]string // what each is called, by its number
	Now        func() time.Time
	// LoseAnswer lets the next write be carried out and not answered.
	LoseAnswer bool

	state     sync.Mutex
	schedules []*cachetSchedule
	writes    int
}

type cachetSchedule struct {
	ID            int64
	Name, Message string
	ScheduledAt   time.Time
	CompletedAt   time.Time // zero: none
	Component     int64
}

func (s *cachetSchedule) status(now time.Time) int {
	switch {
	case !s.ScheduledAt.Before(now):
		return 0
	case s.CompletedAt.IsZero() || !s.CompletedAt.Before(now):
		return 1
	}
	return 2
}

// cachetZone is the time zone of the page.
var cachetZone = time.FixedZone("JST", 9*60*60)

func cachetTime(t time.Time) map[string]any {
	if t.IsZero() {
		return map[string]any{"human": nil, "string": nil}
	}
	return map[string]any{"human": "a while ago", "string": t.In(cachetZone).Format(time.DateTime)}
}

func (c *Cachet) resource(s *cachetSchedule) map[string]any {
	return map[string]any{"id": strconv.FormatInt(s.ID, 10), "type": "schedules", "attributes": map[string]any{"id": s.ID, "name": s.Name, "message": s.Message,
		"status":    map[string]any{"human": []string{"Upcoming", "In Progress", "Complete"}[s.status(c.Now())], "value": s.status(c.Now())},
		"scheduled": cachetTime(s.ScheduledAt), "completed": cachetTime(s.CompletedAt)}}
}

// Meddle changes the message or the name of the schedules in progress as a person
// would.
func (c *Cachet) Meddle(f func(name, message string) (string, string)) {
	c.state.Lock()
	defer c.state.Unlock()
	for _, s := range c.schedules {
		if s.status(c.Now()) == 1 {
			s.Name, s.Message = f(s.Name, s.Message)
		}
	}
	c.writes++
}

// Colleague announces a maintenance that is none of noren's.
func (c *Cachet) Colleague() {
	c.state.Lock()
	defer c.state.Unlock()
	c.schedules = append(c.schedules, &cachetSchedule{ID: int64(len(c.schedules) + 1), Name: "a colleague's", ScheduledAt: c.Now().Add(-time.Hour), CompletedAt: c.Now().Add(9 * time.Hour)})
	c.writes++
}

// Standing is what visitors see now as in progress.
func (c *Cachet) Standing() []string {
	c.state.Lock()
	defer c.state.Unlock()
	var all []string
	for _, s := range c.schedules {
		if s.status(c.Now()) == 1 {
			all = append(all, fmt.Sprintf("%d %q %q, component %d", s.ID, s.Name, s.Message, s.Component))
		}
	}
	return all
}

// Writes counts what was written.
func (c *Cachet) Writes() int {
	c.state.Lock()
	defer c.state.Unlock()
	return c.writes
}

// ServeHTTP answers one call.
func (c *Cachet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.strictness.serve("cachet", c.answer, c.Wrong, w, r)
}

func (c *Cachet) answer(w http.ResponseWriter, r *http.Request) {
	if c.isDown() {
		http.Error(w, `{"message":"Service Unavailable"}`, http.StatusServiceUnavailable)
		return
	}
	c.state.Lock()
	defer c.state.Unlock()
	write := r.Method != http.MethodGet
	if write && r.Header.Get("Authorization") != "Bearer "+c.Token {
		http.Error(w, `{"message":"Unauthenticated."}`, http.StatusUnauthorized)
		return
	}
	path, _ := strings.CutPrefix(r.URL.Path, "/api/")
	kind, rest, _ := strings.Cut(path, "/")
	id, _ := strconv.ParseInt(rest, 10, 64)
	i := slices.IndexFunc(c.schedules, func(s *cachetSchedule) bool { return s.ID == id })
	var data any
	var err error
	status := http.StatusOK
	switch {
	case r.Method == http.MethodGet && kind == "components" && c.Components[id] != "":
		data = map[string]any{"id": rest, "type": "components", "attributes": map[string]any{"id": id, "name": c.Components[id], "status": map[string]any{"human": "Operational", "value": 1}}}
	case r.Method == http.MethodGet && path == "schedules":
		data = c.list(r)
	case r.Method == http.MethodGet && kind == "schedules" && i >= 0:
		data = c.resource(c.schedules[i])
	case r.Method == http.MethodPost && path == "schedules":
		status = http.StatusCreated
		data, err = c.create(r)
	case r.Method == http.MethodPut && kind == "schedules" && i >= 0:
		data, err = c.update(r, c.schedules[i])
	default:
		http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
		return
	}
	if err != nil {
		c.Wrong("%v", err)
		http.Error(w, fmt.Sprintf(`{"message":%q,"errors":{}}`, err.Error()), http.StatusUnprocessableEntity)
		return
	}
	if write {
		if c.writes++; c.LoseAnswer {
			c.LoseAnswer = false
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", "application/vnd.api+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func (c *Cachet) list(r *http.Request) []any {
	query := r.URL.Query()
	wanted := strings.Split(query.Get("filter[status]"), ",")
	found := []any{}
	for _, s := range c.schedules {
		if slices.Contains(wanted, strconv.Itoa(s.status(c.Now()))) {
			found = append(found, c.resource(s))
		}
	}
	size, page := 15, 1
	if n, err := strconv.Atoi(query.Get("per_page")); err == nil {
		size = n
	}
	if n, err := strconv.Atoi(query.Get("page")); err == nil {
		page = n
	}
	from := min((page-1)*size, len(found))
	return found[from:min(from+size, len(found))]
}

// cachetFields are those of a schedule that can be written.
type cachetFields struct {
	Name          *string                      `json:"name"`
	Message       *string                      `json:"message"`
	ScheduledAt   *string                      `json:"scheduled_at"`
	CompletedAt   *string                      `json:"completed_at"`
	Notifications *bool                        `json:"notifications"`
	Components    []struct{ ID, Status int64 } `json:"components"`
}

func (c *Cachet) create(r *http.Request) (any, error) {
	s := &cachetSchedule{ID: int64(len(c.schedules) + 1)}
	f, err := c.merge(r, s)
	if err != nil {
		return nil, err
	}
	if f.Name == nil || f.Message == nil || f.ScheduledAt == nil {
		return nil, fmt.Errorf("name, message and scheduled_at are required")
	}
	for _, part := range f.Components {
		if c.Components[part.ID] == "" || part.Status < 1 || part.Status > 6 {
			return nil, fmt.Errorf("component %d, status %d", part.ID, part.Status)
		}
		s.Component = part.ID
	}
	c.schedules = append(c.schedules, s)
	c.Took("created %q %s", s.Name, inOneLine(s.Message))
	return c.resource(s), nil
}

func (c *Cachet) update(r *http.Request, s *cachetSchedule) (any, error) {
	if _, err := c.merge(r, s); err != nil {
		return nil, err
	}
	word := "changed"
	if !s.CompletedAt.IsZero() {
		word = "completed"
	}
	c.Took("%s %q %s", word, s.Name, inOneLine(s.Message))
	return c.resource(s), nil
}

func inOneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// merge writes what is given; what is null or absent stays.
func (c *Cachet) merge(r *http.Request, s *cachetSchedule) (cachetFields, error) {
	var f cachetFields
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return f, err
	}
	if f.Name != nil && (*f.Name == "" || len([]rune(*f.Name)) > 255) || f.Message != nil && *f.Message == "" {
		return f, fmt.Errorf("name or message has a wrong length")
	}
	for _, at := range []struct {
		from *string
		to   *time.Time
	}{{f.ScheduledAt, &s.ScheduledAt}, {f.CompletedAt, &s.CompletedAt}} {
		if at.from == nil {
			continue
		}
		t, err := time.Parse(time.RFC3339, *at.from)
		if err != nil {
			return f, err
		}
		*at.to = t
	}
	if f.Name != nil {
		s.Name = *f.Name
	}
	if f.Message != nil {
		s.Message = *f.Message
	}
	return f, nil
}
