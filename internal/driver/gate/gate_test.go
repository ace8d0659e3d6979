package gate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// session opens the driver as noren does.
func (s *server) session(t *testing.T) *driver.Session {
	t.Helper()
	raw, err := json.Marshal(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return driver.NewRegistry(Driver()).Open(driver.Env{Name: "prod", Now: time.Now}, map[string]json.RawMessage{"gate": raw})
}

// open opens an action from its call, its parameters through JSON.
func open(t *testing.T, s *driver.Session, c driver.Call) *driver.Instance {
	t.Helper()
	raw, err := json.Marshal(c.Params)
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.Action(t.Context(), c.Action, raw)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// proposeClosing surveys the door web and proposes to close it.
func proposeClosing(t *testing.T, s *server, session *driver.Session) (driver.Entrance, *driver.Survey, *driver.Proposal) {
	t.Helper()
	e, err := session.Entrance(t.Context(), "gate/door", "web", nil)
	if err != nil {
		t.Fatal(err)
	}
	survey, err := e.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	port := s.url[strings.LastIndex(s.url, ":"):]
	if survey.Target != "gate:prod/door/web" || !slices.Equal(survey.Hosts, []string{"shop.example.com"}) || !slices.Equal(survey.URLs, []string{"http://shop.example.com" + port + "/"}) {
		t.Errorf("%+v", survey)
	}
	p, err := e.Close(survey, closingOf("run-7"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Strategy != "gate" || p.EditsOwned || len(p.Calls) != 1 {
		t.Errorf("%+v", p)
	}
	shop := edge.Request{Scheme: "http", Port: mustPort(t, port), Host: "shop.example.com", Path: "/"}
	if d, err := survey.Front.Decide(shop); err != nil || d.Rule != "door web" {
		t.Errorf("before: %+v %v", d, err)
	}
	if d, err := p.Front.Decide(shop); err != nil || d.Rule != "noren: closed" {
		t.Errorf("after: %+v %v", d, err)
	}
	return e, survey, p
}

func TestClosesAndOpensADoor(t *testing.T) {
	s := startServer(t)
	session := s.session(t)
	e, survey, p := proposeClosing(t, s, session)
	in := open(t, session, p.Calls[0])
	if in.Target != survey.Target {
		t.Errorf("target %q", in.Target)
	}
	from, err := in.Change.Observe(t.Context())
	if err != nil || from.IsZero() {
		t.Fatalf("an open door is a door: %+v %v", from, err)
	}
	to, err := in.Change.Propose(from)
	if err != nil {
		t.Fatal(err)
	}
	receipt := action.Receipt{Run: "run-7", Step: "close-1", Action: "gate/door.close", Target: in.Target, From: from, To: to}
	marked := in.Marker.Marked(action.Mark{Receipt: receipt, Actor: "tanaka@ops"})
	if err := marked.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if got := s.see(t, "shop.example.com"); !strings.HasPrefix(got, "503 ") || !strings.Contains(got, "run-7") {
		t.Errorf("customer sees %s", got)
	}
	if got := s.see(t, "api.example.com"); !isOpen(got) {
		t.Errorf("customer of the other door sees %s", got)
	}
	found, err := session.Traces(t.Context())
	if err != nil || len(found.Marks) != 1 || found.Marks[0].Wrong != "" || found.Marks[0].On != in.Target || found.Seen[0].Count < 2 {
		t.Fatalf("traces: %+v %v", found, err)
	}
	mark := found.Marks[0].Mark
	if mark.Actor != "tanaka@ops" || !mark.Receipt.To.Equal(to) {
		t.Errorf("mark: %+v", mark)
	}
	if again, err := e.Survey(t.Context()); err != nil || !again.Notes[0].Warn || !strings.Contains(again.Notes[0].Text, "run run-7 of tanaka@ops") {
		t.Errorf("survey of a closed door: %+v %v", again, err)
	}
	// Undone from the mark alone, as recover does.
	if err := marked.Apply(t.Context(), mark.Receipt.To, mark.Receipt.From); err != nil {
		t.Fatal(err)
	}
	if got := s.see(t, "shop.example.com"); !isOpen(got) {
		t.Errorf("customer sees %s", got)
	}
}

func mustPort(t *testing.T, colonPort string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(colonPort, ":"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReadyAsksBehindTheCurtain(t *testing.T) {
	s := startServer(t)
	turn(t, s.client(t), "web", &gateapi.Closed{Closing: closingOf("x")})
	check := open(t, s.session(t), driver.Call{Action: "gate/door.ready", Params: ReadyParams{Door: "web"}}).Check
	if v, err := check.Check(t.Context()); err != nil || !v.OK || !strings.Contains(v.Summary, "/healthz") {
		t.Errorf("%+v %v", v, err)
	}
	s.sick.Store(true)
	if v, err := check.Check(t.Context()); err != nil || v.OK || !strings.Contains(v.Findings[0], "status 500") || len(v.Try) == 0 {
		t.Errorf("%+v %v", v, err)
	}
}

func TestFrontOfADoorBehindAnotherProxy(t *testing.T) {
	s := startServer(t)
	e, err := s.session(t).Entrance(t.Context(), "gate/door", "api", nil)
	if err != nil {
		t.Fatal(err)
	}
	survey, err := e.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Close(survey, closingOf("x"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Front.Decide(edge.Request{Scheme: "https", Host: "api.example.com", Path: "/v1/"})
	if err != nil || d.Rule != "noren: closed" {
		t.Errorf("%+v %v", d, err)
	}
	large := closingOf("x")
	large.Page.Body = strings.Repeat("x", gateapi.MaxPage+3)
	if _, err := e.Close(survey, large); err == nil || !strings.Contains(err.Error(), "3 more") {
		t.Error(err)
	}
}

func TestDiscovers(t *testing.T) {
	s := startServer(t)
	found, err := s.session(t).Discover(t.Context())
	if err != nil || len(found.Entrances) != 2 {
		t.Fatalf("%+v %v", found, err)
	}
	web, api := found.Entrances[0], found.Entrances[1]
	if web.Kind != "gate/door" || web.Name != "web" || web.API || len(web.Health) != 1 || !strings.HasSuffix(web.Health[0], "/healthz") || !api.API {
		t.Errorf("%+v", found)
	}
}

func TestDescriptionIsForPeopleAndKeepsSecrets(t *testing.T) {
	c := closingOf("run-7")
	c.Bypass.Sources = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	change := &closeChange{client: &client{env: "prod"}, params: CloseParams{Door: "web", Closing: c}}
	d := change.Describe(&DoorState{}, &DoorState{Closing: &c})
	if strings.Contains(d.Line+d.Before+d.After, pass) {
		t.Errorf("the pass is in it: %s", d.After)
	}
	for _, want := range []string{"customers: reach", "203.0.113.0/24", "•••", "Retry-After: 120", "status: 503", "閉店", "/.well-known/acme-challenge/*"} {
		if !strings.Contains(d.Before+d.After, want) {
			t.Errorf("%q is missing in\n%s---\n%s", want, d.Before, d.After)
		}
	}
	if d.Line != "Close door web: customers are answered with 503 (text/html; charset=utf-8, "+strconv.Itoa(len(c.Page.Body))+" bytes)" {
		t.Error(d.Line)
	}
	if back := change.Describe(&DoorState{Closing: &c}, &DoorState{}); back.Line != "Open door web: customers reach the application" || back.After != d.Before {
		t.Errorf("%+v", back)
	}
}

func TestErrorsNameGateAndDoor(t *testing.T) {
	s := startServer(t)
	answering := func(status int, body string) Config {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(h.Close)
		return Config{Admin: h.URL, TokenFile: s.cfg.TokenFile}
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	wrongToken := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(wrongToken, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg         Config
		door        string
		code        fault.Code
		unavailable bool
		says        []string
	}{
		"unknown door":    {s.cfg, "wbe", fault.NotFound, false, []string{"web, api", "Did you mean web?"}},
		"wrong token":     {Config{Admin: s.cfg.Admin, TokenFile: wrongToken}, "web", fault.Denied, false, []string{"401", "door web"}},
		"forbidden":       {answering(http.StatusForbidden, ""), "web", fault.Denied, false, []string{"403"}},
		"nobody there":    {Config{Admin: gone.URL, TokenFile: s.cfg.TokenFile}, "web", fault.Unavailable, true, []string{"door web", "refused"}},
		"overloaded":      {answering(http.StatusServiceUnavailable, "later"), "web", fault.Unavailable, true, []string{"503"}},
		"disk full":       {answering(http.StatusInsufficientStorage, `{"status":507,"detail":"no space left"}`), "web", fault.Unavailable, true, []string{"no space left"}},
		"no gate":         {answering(http.StatusNotFound, "<h1>nginx"), "web", fault.Invalid, false, []string{"404", "admin URL"}},
		"no gate, but OK": {answering(http.StatusOK, "<h1>nginx"), "web", fault.Invalid, false, []string{"admin URL"}},
		"sent elsewhere":  {answering(http.StatusFound, ""), "web", fault.Invalid, false, []string{"302"}},
		"refused closing": {answering(http.StatusUnprocessableEntity, `{"status":422,"detail":"no mark"}`), "web", fault.Invalid, false, []string{"no mark"}},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := newClient(c.cfg, "prod", http.DefaultTransport)
			if err != nil {
				t.Fatal(err)
			}
			change := driver.Bare[DoorState](&closeChange{client: client, params: CloseParams{Door: c.door}}).Change
			_, err = change.Observe(t.Context())
			if !errors.Is(err, &fault.Fault{Code: c.code}) || errors.Is(err, action.ErrUnavailable) != c.unavailable {
				t.Errorf("got %v, want %s", err, c.code)
			}
			for _, want := range append(c.says, c.cfg.Admin) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
		})
	}
}

// TestRaceIsNotLost lets a colleague close the door between our reading and
// our writing.
func TestRaceIsNotLost(t *testing.T) {
	s := startServer(t)
	colleague := s.client(t)
	ours := closingOf("ours")
	for name, c := range map[string]struct {
		theirs gateapi.Closed
		err    error
	}{
		"to something else": {gateapi.Closed{Closing: closingOf("theirs")}, action.ErrDrift},
		"to the same end":   {gateapi.Closed{Closing: ours}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			turn(t, colleague, "web", nil)
			racing := s.client(t)
			racing.http.Transport = faster{s, func() { turn(t, colleague, "web", &c.theirs) }}
			change := &closeChange{client: racing, params: CloseParams{Door: "web", Closing: ours}}
			if err := change.Apply(t.Context(), &DoorState{}, &DoorState{Closing: &ours}); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if d := mustDoor(t, colleague, "web"); d.Closed.Closing.Mark != c.theirs.Closing.Mark {
				t.Errorf("the colleague's closing is gone: %+v", d.Closed)
			}
		})
	}
}

// faster does something right before each write.
type faster struct {
	*server
	first func()
}

func (f faster) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		f.first()
	}
	return f.server.RoundTrip(r)
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		says string
	}{
		{Config{}, ""},
		{Config{Admin: "https://gate.example.com:7410", CAFile: "ca.pem"}, ""},
		{Config{Admin: "127.0.0.1:7410"}, "no http or https URL"},
		{Config{Admin: "http://gate.example.com:7410"}, "unencrypted"},
		{Config{Admin: "http://u:p@127.0.0.1"}, "token_file or token_env"},
		{Config{CAFile: "ca.pem"}, "not https"},
		{Config{TokenFile: "x", TokenEnv: "Y"}, "keep one"},
	} {
		err := c.cfg.Validate()
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.says)
		}
	}
	if _, err := (Config{TokenEnv: "NOREN_TEST_NO_SUCH_TOKEN"}).token(); err == nil || !strings.Contains(err.Error(), "NOREN_TEST_NO_SUCH_TOKEN") {
		t.Error(err)
	}
	if _, err := (Config{TokenFile: "none"}).token(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	t.Setenv("NOREN_GATE_TOKEN", " secret\n")
	if got, err := (Config{}).token(); err != nil || got != "secret" {
		t.Error(got, err)
	}
	if _, err := (Config{CAFile: "none"}).transport(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for _, o := range []Options{{URLs: []string{"shop"}}, {URLs: []string{"ftp://shop"}}} {
		if o.Validate() == nil {
			t.Errorf("%+v passes", o)
		}
	}
}

func TestCancelledCallIsNoOutage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := startServer(t).client(t).door(ctx, "web")
	if !errors.Is(err, context.Canceled) || errors.Is(err, action.ErrUnavailable) {
		t.Error(err)
	}
}
