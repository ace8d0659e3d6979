package appstatus

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/driver"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func config(file string) Config {
	return Config{File: file, Services: map[string]Service{"shop": {Name: map[string]string{"en": "Shop"}}, "api": {Name: map[string]string{"en": "API"}}},
		Apps: map[string]App{"ios": {Minimum: "3.2.0", Store: "https://apps.example.com/1"}}}
}

// newConn is a connection of which the disk can lose an answer.
func newConn(t testing.TB) (c *conn, writes *int, lose *bool) {
	t.Helper()
	writes, lose = new(int), new(bool)
	c, err := connect(context.Background(), config(filepath.Join(t.TempDir(), "app-status.json")), driver.Env{Name: "prod", Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	c.place.(*file).replace = func(path string, data []byte, keep bool) error {
		if err := replace(path, data, keep); err != nil {
			return err
		}
		if path != c.cfg.File {
			return nil
		}
		if *writes++; *lose {
			*lose = false
			return errUnknown
		}
		return nil
	}
	return c, writes, lose
}

func params(service string) TellParams {
	return TellParams{Service: service, Closing: appstatus.Closing{Since: noon, Until: noon.Add(time.Hour), Lang: "en",
		Messages: map[string]appstatus.Message{"en": {Title: "Closed", Detail: "Back soon.", Late: "Taking longer."}}}}
}

// TestTellContract holds appstatus/service.tell to the contract: where there is
// no document yet, and in one that is there.
func TestTellContract(t *testing.T) {
	for name, there := range map[string]bool{"NoDocument": false, "Document": true} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target { return tellTarget(t, there) }})
		})
	}
}

func tellTarget(t testing.TB, there bool) actiontest.Target {
	c, writes, lose := newConn(t)
	if there {
		edit(t, c, func(*appstatus.Document) {})
	}
	change, err := openTell(c, params("shop"))
	if err != nil {
		t.Fatal(err)
	}
	in := driver.Bare(change)
	return actiontest.Target{
		Name:   "service shop in the status document " + c.cfg.File,
		Change: in.Change,
		Marked: in.Marker.Marked,
		Mark: func(t testing.TB) *action.Mark {
			found, err := findTraces(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Marks) == 0 {
				return nil
			}
			return &found.Marks[0].Mark
		},
		Meddle: func(t testing.TB) {
			*writes++
			edit(t, c, func(d *appstatus.Document) { d.Close("shop", &appstatus.Closing{Since: noon.Add(-time.Hour)}) })
		},
		MeddleBeside: func(t testing.TB) {
			*writes++
			edit(t, c, func(d *appstatus.Document) {
				d.Close("api", &appstatus.Closing{Since: noon})
				d.Apps["ios"] = appstatus.App{Minimum: "4.0"}
			})
		},
		Beside: func(t testing.TB) string {
			d := document(t, c)
			return fmt.Sprint(d.Services["api"].Status, d.Apps)
		},
		LoseNextAnswer: func(testing.TB) { *lose = true },
		Writes:         func(testing.TB) int { return *writes },
	}
}

// TestPublishContract holds appstatus/document.publish to the contract.
func TestPublishContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		c, writes, lose := newConn(t)
		edit(t, c, func(d *appstatus.Document) { d.Apps, d.Services = nil, map[string]appstatus.Service{} })
		change, err := openPublish(c, PublishParams{})
		if err != nil {
			t.Fatal(err)
		}
		return actiontest.Target{
			Name:   "status document " + c.cfg.File,
			Change: driver.Bare(change).Change,
			Meddle: func(t testing.TB) {
				*writes++
				edit(t, c, func(d *appstatus.Document) { d.Apps = map[string]appstatus.App{"ios": {Minimum: "1"}} })
			},
			MeddleBeside: func(t testing.TB) {
				*writes++
				edit(t, c, func(d *appstatus.Document) { d.Close("shop", &appstatus.Closing{Since: noon}) })
			},
			Beside: func(t testing.TB) string {
				raw, err := json.Marshal(document(t, c).Services["shop"].Closing)
				if err != nil {
					t.Fatal(err)
				}
				return string(raw)
			},
			LoseNextAnswer: func(testing.TB) { *lose = true },
			Writes:         func(testing.TB) int { return *writes },
		}
	}})
}

// document is what stands in the file, or would in a fresh one.
func document(t testing.TB, c *conn) *appstatus.Document {
	t.Helper()
	d, err := c.place.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d == nil {
		d = c.fresh()
	}
	return d
}

// edit changes the file as a colleague does, with an editor.
func edit(t testing.TB, c *conn, change func(*appstatus.Document)) {
	t.Helper()
	d := document(t, c)
	change(d)
	raw, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.cfg.File, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
