package appstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/cdn"
)

const key = "public/app-status.json"

// inS3 is the configuration of a document in S3 behind the CloudFront of a server.
func inS3(s *cdn.Server) Config {
	c := config("")
	c.S3 = &S3{Bucket: cdn.Bucket, Key: key, Config: awsclient.Config{Region: cdn.Region, Endpoint: s.Endpoint}}
	c.CloudFront, c.URL = &CloudFront{Distribution: cdn.Distribution}, s.URL+"/"+key
	return c
}

// process connects as a process that has just begun does.
func process(t testing.TB, c Config) *conn {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	out, err := connect(t.Context(), c, driver.Env{Name: "prod", Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// put changes the object as a colleague does, with the AWS CLI.
func put(t testing.TB, s *cdn.Server, c *conn, change func(*appstatus.Document)) {
	t.Helper()
	d := c.fresh()
	if o := s.Object(key); o != nil {
		var err error
		if d, err = appstatus.Parse(o.Data); err != nil {
			t.Fatal(err)
		}
	}
	change(d)
	raw, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	s.Put(key, raw)
}

func parsed(t testing.TB, s *cdn.Server) *appstatus.Document {
	t.Helper()
	d := &appstatus.Document{}
	if o := s.Object(key); o != nil {
		var err error
		if d, err = appstatus.Parse(o.Data); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestTellInS3Contract holds appstatus/service.tell to the contract in a bucket
// without the document, in one that has it, and for one who may not list it.
func TestTellInS3Contract(t *testing.T) {
	testaws.Isolate(t)
	for _, name := range []string{"NoObject", "Object", "MayNotList"} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				s := cdn.Start(t)
				c := process(t, inS3(s))
				if name == "Object" {
					put(t, s, c, func(*appstatus.Document) {})
				}
				if name == "MayNotList" {
					s.Deny("s3:ListBucket")
				}
				return bucketTarget(t, s, c)
			}})
		})
	}
}

func bucketTarget(t testing.TB, s *cdn.Server, c *conn) actiontest.Target {
	change, err := openTell(c, params("shop"))
	if err != nil {
		t.Fatal(err)
	}
	in := driver.Bare(change)
	return actiontest.Target{
		Name:   "service shop in the status document " + c.place.String(),
		Change: in.Change,
		Marked: in.Marker.Marked,
		Mark:   func(t testing.TB) *action.Mark { return markIn(t, c) },
		Meddle: func(t testing.TB) {
			put(t, s, c, func(d *appstatus.Document) { d.Close("shop", &appstatus.Closing{Since: noon.Add(-time.Hour)}) })
		},
		MeddleBeside: func(t testing.TB) {
			put(t, s, c, func(d *appstatus.Document) {
				d.Close("api", &appstatus.Closing{Since: noon})
				d.Apps["ios"] = appstatus.App{Minimum: "4.0"}
			})
		},
		Beside: func(t testing.TB) string {
			d := parsed(t, s)
			return fmt.Sprint(d.Services["api"].Status, d.Apps)
		},
		LoseNextAnswer: s.LoseNextAnswer,
		Writes:         s.Writes,
	}
}

func markIn(t testing.TB, c *conn) *action.Mark {
	t.Helper()
	found, err := findTraces(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Marks) == 0 {
		return nil
	}
	return &found.Marks[0].Mark
}

// TestPublishInS3Contract holds appstatus/document.publish to the contract.
func TestPublishInS3Contract(t *testing.T) {
	testaws.Isolate(t)
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		s := cdn.Start(t)
		c := process(t, inS3(s))
		put(t, s, c, func(d *appstatus.Document) { d.Apps, d.Services = nil, map[string]appstatus.Service{} })
		change, err := openPublish(c, PublishParams{})
		if err != nil {
			t.Fatal(err)
		}
		return actiontest.Target{
			Name:   "status document " + c.place.String(),
			Change: driver.Bare(change).Change,
			Meddle: func(t testing.TB) {
				put(t, s, c, func(d *appstatus.Document) { d.Apps = map[string]appstatus.App{"ios": {Minimum: "1"}} })
			},
			MeddleBeside: func(t testing.TB) {
				put(t, s, c, func(d *appstatus.Document) { d.Close("shop", &appstatus.Closing{Since: noon}) })
			},
			Beside:         func(t testing.TB) string { return fmt.Sprint(parsed(t, s).Services["shop"].Status) },
			LoseNextAnswer: s.LoseNextAnswer,
			Writes:         s.Writes,
		}
	}})
}

// TestKilledAtEveryWrite kills noren at each call that writes, before it is carried
// out and after, on the way there and on the way back: another process carries on,
// and apps hear at the distribution what is true.
func TestKilledAtEveryWrite(t *testing.T) {
	testaws.Isolate(t)
	for _, before := range []bool{true, false} {
		killed := 0
		for n := 1; ; n++ {
			s := cdn.Start(t)
			cfg := inS3(s)
			put(t, s, process(t, cfg), func(*appstatus.Document) {})
			s.Visit(t, "/"+key) // the distribution keeps it
			s.KillAt(n, before)
			_, errThere := moves(t, cfg, true)
			cutThere := s.Revive()
			if !cutThere && errThere != nil {
				t.Fatal(errThere)
			}
			calls := s.Calls()
			if cutThere {
				killed++
				there, err := moves(t, cfg, true)
				if err != nil {
					t.Fatalf("call %d (%s): %v", n, calls[n-1], err)
				}
				shows(t, s, there, appstatus.Maintenance, fmt.Sprintf("closed, killed at %s (before: %t)", calls[n-1], before))
			}
			s.KillAt(n, before)
			_, errBack := moves(t, cfg, false)
			cutBack := s.Revive()
			if !cutBack && errBack != nil {
				t.Fatal(errBack)
			}
			if cutBack {
				killed++
				if _, err := moves(t, cfg, false); err != nil {
					t.Fatalf("back, call %d: %v", n, err)
				}
			}
			back := process(t, cfg)
			shows(t, s, back, appstatus.Operational, fmt.Sprintf("opened, killed at call %d (before: %t)", n, before))
			if m := markIn(t, back); m != nil {
				t.Errorf("call %d: a mark is left: %+v", n, m)
			}
			if !cutThere && !cutBack {
				break
			}
		}
		if killed != 6 { // marks, document, invalidation, both ways
			t.Errorf("killed %d times, want at each of 6 calls", killed)
		}
	}
}

// moves makes the change, or takes it back, as one process.
func moves(t testing.TB, cfg Config, there bool) (*conn, error) {
	t.Helper()
	c := process(t, cfg)
	change, err := openTell(c, params("shop"))
	if err != nil {
		t.Fatal(err)
	}
	in := driver.Bare(change)
	var from action.State
	to, err := in.Change.Propose(from)
	if err != nil {
		t.Fatal(err)
	}
	mark := action.Mark{Receipt: action.Receipt{Run: "close-1", Action: "appstatus/service.tell", Target: change.Target(), From: from, To: to}}
	if !there {
		from, to = to, from
	}
	return c, in.Marker.Marked(mark).Apply(t.Context(), from, to)
}

// shows fails unless apps get a status of the shop at the distribution, and noren
// sees it.
func shows(t testing.TB, s *cdn.Server, c *conn, want appstatus.Status, when string) {
	t.Helper()
	_, body := s.Visit(t, "/"+key)
	d, err := appstatus.Parse([]byte(body))
	if err != nil || d.Services["shop"].Status != want {
		t.Errorf("%s: apps get %v, %v; want %s", when, body, err, want)
	}
	v, err := settled(t.Context(), c.place, func(d *appstatus.Document) bool { return d.Services["shop"].Status == want })
	if err != nil || !v.OK {
		t.Errorf("%s: settled %+v, %v", when, v, err)
	}
}

// TestInvalidationMatters: what the distribution keeps is shown until it is told,
// noren does not call that told, and one writing is invalidated once.
func TestInvalidationMatters(t *testing.T) {
	testaws.Isolate(t)
	s := cdn.Start(t)
	cfg := inS3(s)
	put(t, s, process(t, cfg), func(*appstatus.Document) {})
	s.Visit(t, "/"+key)
	s.Slow(2)
	c, err := moves(t, cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	closed := func(d *appstatus.Document) bool { return d.Services["shop"].Status == appstatus.Maintenance }
	v, err := settled(t.Context(), c.place, closed)
	if err != nil || v.OK || !strings.Contains(fmt.Sprint(v), "not proved yet") || !strings.Contains(fmt.Sprint(v.Findings), "I1") {
		t.Fatalf("while the distribution shows the old one: %+v, %v", v, err)
	}
	for range 3 {
		if v, err = settled(t.Context(), c.place, closed); err != nil {
			t.Fatal(err)
		}
	}
	if !v.OK || s.Invalidations() != 1 {
		t.Errorf("in the end: %+v, %d invalidations", v, s.Invalidations())
	}
	// Another process, which knows of no invalidation, finds the same one.
	if v, err := settled(t.Context(), process(t, cfg).place, closed); err != nil || !v.OK || s.Invalidations() != 1 {
		t.Errorf("another process: %+v, %v, %d invalidations", v, err, s.Invalidations())
	}
	// It is completed, and the old one is shown all the same: another cache.
	s.Slow(0)
	s.Deaf(true)
	if _, err := moves(t, cfg, false); err != nil {
		t.Fatal(err)
	}
	v, err = settled(t.Context(), c.place, func(d *appstatus.Document) bool { return !closed(d) })
	if err != nil || v.OK || !strings.Contains(fmt.Sprint(v.Findings), "no cache in front of it") {
		t.Errorf("nobody forgets: %+v, %v", v, err)
	}
}

// TestUnseen: where noren cannot reach what apps read, CloudFront's word is waited
// for, and it is said that it is no more than that.
func TestUnseen(t *testing.T) {
	testaws.Isolate(t)
	s := cdn.Start(t)
	cfg := inS3(s)
	cfg.URL, cfg.CloudFront.Path = "", "/"+key
	s.Slow(2)
	c, err := moves(t, cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"false invalidation I1 of CloudFront is in progress", "true CloudFront has completed invalidation I1; whether apps get it was not asked"} {
		v, err := settled(t.Context(), c.place, nil)
		ok, words, _ := strings.Cut(want, " ")
		if err != nil || fmt.Sprint(v.OK) != ok || !strings.Contains(v.Summary, words) {
			t.Errorf("%+v, %v; want %s", v, err, want)
		}
	}
	cfg.CloudFront = nil
	if v, err := settled(t.Context(), process(t, cfg).place, nil); err != nil || !v.OK || !strings.Contains(v.Summary, "has no url") {
		t.Errorf("no url: %+v, %v", v, err)
	}
}

// TestObjectsSayWhatTheyAre: type, life in caches, and marks under a key that no
// distribution may use.
func TestObjectsSayWhatTheyAre(t *testing.T) {
	testaws.Isolate(t)
	s := cdn.Start(t)
	if _, err := moves(t, inS3(s), true); err != nil {
		t.Fatal(err)
	}
	h := s.Object(key).Header
	if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "public, max-age=30, stale-if-error=300" || h.Get("X-Amz-Expected-Bucket-Owner") != cdn.Account {
		t.Errorf("the document was written with %v", h)
	}
	if h := s.Object("public/.app-status.json.marks").Header; h.Get("X-Amz-Server-Side-Encryption") != "aws:kms" || h.Get("Cache-Control") != "private, no-store" {
		t.Errorf("the marks were written with %v", h)
	}
	if status, body := s.Visit(t, "/public/.app-status.json.marks"); status != 403 || strings.Contains(body, "close-1") {
		t.Errorf("everybody gets the marks: %d %s", status, body)
	}
}

// TestCrowdedAndKey: CloudFront's limit is waited for, and nobody loses a write; a
// key that is disabled is named.
func TestCrowdedAndKey(t *testing.T) {
	testaws.Isolate(t)
	s := cdn.Start(t)
	s.Crowd(1)
	_, err := moves(t, inS3(s), true)
	var asked driver.Later
	if !errors.Is(err, action.ErrUnavailable) || !errors.As(err, &asked) || asked.RetryAfter() <= 0 {
		t.Errorf("crowded: %v; want that it is tried again in a while", err)
	}
	c, err := moves(t, inS3(s), true)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, s, c, appstatus.Maintenance, "crowded before")
	s.DisableKey()
	if _, err := moves(t, inS3(s), false); !errors.Is(err, &fault.Fault{Code: fault.Denied}) || !strings.Contains(fmt.Sprint(err), "KMS") {
		t.Errorf("disabled key: %v", err)
	}
}

// TestTwoAtOnce: of two who write at the same moment, the second reads again.
func TestTwoAtOnce(t *testing.T) {
	testaws.Isolate(t)
	s := cdn.Start(t)
	c := process(t, inS3(s))
	put(t, s, c, func(*appstatus.Document) {})
	tries := 0
	edit := func(d *appstatus.Document, _ map[string]string) (edited, error) {
		if tries++; tries == 1 {
			put(t, s, c, func(d *appstatus.Document) { d.Close("api", &appstatus.Closing{Since: noon}) })
		}
		d.Close("shop", &appstatus.Closing{Since: noon})
		return edited{document: d}, nil
	}
	if err := c.place.update(context.Background(), edit); !errors.Is(err, action.ErrUnavailable) {
		t.Fatalf("got %v, want that it is tried again", err)
	}
	if err := c.place.update(context.Background(), edit); err != nil {
		t.Fatal(err)
	}
	if d := parsed(t, s); d.Services["api"].Status != appstatus.Maintenance || d.Services["shop"].Status != appstatus.Maintenance {
		t.Errorf("one of two is lost: %+v", d.Services)
	}
}

// TestManyAtOnce: two norens tell of six services each at the same moment, and
// none is lost.
func TestManyAtOnce(t *testing.T) {
	testaws.Isolate(t)
	s := cdn.Start(t)
	cfg := inS3(s)
	put(t, s, process(t, cfg), func(*appstatus.Document) {})
	section, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for p := range 2 {
		session := driver.NewRegistry(Driver()).Open(driver.Env{Name: "prod", Now: func() time.Time { return noon }}, driver.Configs{"appstatus": section})
		for n := range 6 {
			all.Go(func() {
				raw, err := json.Marshal(params(fmt.Sprintf("service-%d-%d", p, n)))
				if err != nil {
					t.Error(err)
					return
				}
				in, err := session.Action(t.Context(), "appstatus/service.tell", raw)
				if err != nil {
					t.Error(err)
					return
				}
				to, err := in.Change.Propose(action.State{})
				if err == nil {
					err = in.Change.Apply(t.Context(), action.State{}, to)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	closed := 0
	for _, service := range parsed(t, s).Services {
		if service.Closing != nil {
			closed++
		}
	}
	if closed != 12 {
		t.Errorf("%d of 12 are told", closed)
	}
}
