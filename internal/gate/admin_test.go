package gate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

func TestAdminWantsTheToken(t *testing.T) {
	r := start(t, oneDoor(t))
	for _, path := range []string{"/v1/doors", "/v1/doors/web", "/v1/doors/none", "/"} {
		for _, auth := range []string{"", "Bearer ", "Bearer wrong", r.token, "Basic " + r.token} {
			if a := send(t, http.MethodGet, r.admin+path, nil, "Authorization", auth); a.status != http.StatusUnauthorized || strings.Contains(a.body, "web") {
				t.Errorf("GET %s with %q: %d %s", path, auth, a.status, a.body)
			}
		}
	}
	if a := send(t, http.MethodGet, r.admin+"/healthz", nil); a.status != http.StatusOK {
		t.Errorf("/healthz: %d", a.status)
	}
}

func TestAdminRefuses(t *testing.T) {
	c := oneDoor(t)
	c.Doors[0].Hosts = []string{"shop.example.com"}
	r := start(t, c)
	_, tag := r.door(t, "web")
	put := func(body any, headers ...string) answered {
		return r.ask(t, http.MethodPut, "/v1/doors/web/closing", body, headers...)
	}
	match := []string{"If-Match", tag}
	with := func(f func(*edge.Closing)) answered { return put(closing(f), match...) }
	for name, c := range map[string]struct {
		answered
		status int
		says   string
	}{
		"no If-Match":         {put(closing()), http.StatusPreconditionRequired, "ETag"},
		"another If-Match":    {put(closing(), "If-Match", `"x"`), http.StatusPreconditionFailed, "web"},
		"no JSON":             {put("x", match...), http.StatusBadRequest, "newer gate"},
		"unknown field":       {put(map[string]any{"fog": 1}, match...), http.StatusBadRequest, "fog"},
		"no mark":             {with(func(c *edge.Closing) { c.Mark = "" }), http.StatusUnprocessableEntity, "mark"},
		"unknown mode":        {with(func(c *edge.Closing) { c.Mode = "ajar" }), http.StatusUnprocessableEntity, "ajar"},
		"paths without any":   {with(func(c *edge.Closing) { c.Mode = edge.Paths }), http.StatusUnprocessableEntity, "no paths"},
		"pass for everyone":   {with(func(c *edge.Closing) { c.Bypass.Pass = "*" }), http.StatusUnprocessableEntity, "pass"},
		"somebody's host":     {with(func(c *edge.Closing) { c.Hosts = []string{"bank.example.com"} }), http.StatusUnprocessableEntity, "bank.example.com"},
		"no status":           {with(func(c *edge.Closing) { c.Page.Status = 99 }), http.StatusUnprocessableEntity, "99"},
		"no type":             {with(func(c *edge.Closing) { c.Page.ContentType = "" }), http.StatusUnprocessableEntity, "content type"},
		"smuggled header":     {with(func(c *edge.Closing) { c.Page.Header = map[string]string{"A": "b\r\nC: d"} }), http.StatusUnprocessableEntity, "header"},
		"page over the limit": {with(func(c *edge.Closing) { c.Page.Body = strings.Repeat("x", gateapi.MaxPage+7) }), http.StatusUnprocessableEntity, "7 more"},
		"flood":               {put(strings.Repeat("x", gateapi.MaxBody), match...), http.StatusRequestEntityTooLarge, "At most"},
		"unknown door":        {r.ask(t, http.MethodGet, "/v1/doors/wbe", nil), http.StatusNotFound, `"doors":["web"]`},
		"unknown path":        {r.ask(t, http.MethodGet, "/v2", nil), http.StatusNotFound, ""},
	} {
		if c.answered.status != c.status || !strings.Contains(c.body, c.says) {
			t.Errorf("%s: %d %s, want %d saying %q", name, c.answered.status, c.body, c.status, c.says)
		}
	}
	if d, after := r.door(t, "web"); d.Closed != nil || after != tag {
		t.Errorf("a refused request changed the door: %+v", d)
	}
}

func TestDoorTellsAboutItself(t *testing.T) {
	r := start(t, Config{Doors: []Door{{Name: "web", Backend: app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sick" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), Hosts: []string{"shop.example.com", "*.shop.example.com"}, Health: "/sick"}, {Name: "rest", Backend: "http://127.0.0.1:1"}}})
	for range 3 {
		send(t, http.MethodGet, r.url, nil, "Host", "shop.example.com")
	}
	r.mustTurn(t, "web", closing())
	send(t, http.MethodGet, r.url, nil, "Host", "shop.example.com")
	d, tag := r.door(t, "web")
	if d.Counts != (gateapi.Counts{Served: 3, Closed: 1}) || d.Closed == nil || d.Closed.Closing.Mark != mark || d.Closed.Mark == nil {
		t.Errorf("%+v", d)
	}
	if want, err := d.Closed.Tag(); err != nil || want != tag {
		t.Errorf("tag %s, computed %s %v", tag, want, err)
	}
	port := r.url[strings.LastIndex(r.url, ":"):]
	if len(d.URLs) != 1 || d.URLs[0] != "http://shop.example.com"+port+"/" {
		t.Errorf("%q", d.URLs)
	}
	var all gateapi.Gate
	if err := json.Unmarshal([]byte(r.ask(t, http.MethodGet, "/v1/doors", nil).body), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Doors) != 2 || all.Doors[1].URLs[0] != "http://127.0.0.1"+port+"/" || fmt.Sprintf(":%d", all.Listeners[0].Port) != port {
		t.Errorf("%+v", all)
	}
	var h gateapi.Health
	if err := json.Unmarshal([]byte(r.ask(t, http.MethodGet, "/v1/doors/web/health", nil).body), &h); err != nil || h.OK || h.Status != 500 || !strings.HasSuffix(h.URL, "/sick") {
		t.Errorf("%+v %v", h, err)
	}
	h = gateapi.Health{}
	if err := json.Unmarshal([]byte(r.ask(t, http.MethodGet, "/v1/doors/rest/health", nil).body), &h); err != nil || h.OK || h.Error == "" {
		t.Errorf("%+v %v", h, err)
	}
}

func TestOfManyWhoCloseAtOnceOneWins(t *testing.T) {
	r := start(t, oneDoor(t))
	_, tag := r.door(t, "web")
	statuses := make(chan int, 16)
	var all sync.WaitGroup
	for i := range cap(statuses) {
		all.Go(func() {
			c := closing(func(c *edge.Closing) { c.Mark = fmt.Sprintf("run-%d", i) })
			statuses <- r.ask(t, http.MethodPut, "/v1/doors/web/closing", c, "If-Match", tag).status
		})
	}
	all.Wait()
	close(statuses)
	won := 0
	for s := range statuses {
		switch s {
		case http.StatusNoContent:
			won++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("status %d", s)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}
