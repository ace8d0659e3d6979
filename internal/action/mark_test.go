package action_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
)

func sealed(t *testing.T, page string) action.Mark {
	t.Helper()
	fields, err := json.Marshal(map[string]string{"page": page})
	if err != nil {
		t.Fatal(err)
	}
	m, err := action.Mark{
		Receipt: action.Receipt{Run: "close-1125-abcd", Step: "close-1", Action: "kube/ingress.patch", Target: "kube:prod/shop/ingress/web",
			To: action.State{Version: 1, Fields: fields}, TakenAt: time.Date(2026, 11, 25, 2, 0, 0, 123456789, time.FixedZone("JST", 9*3600))},
		Params: json.RawMessage(`{"body":"<p>1 & 2</p>"}`), Actor: "sato@ops", Origin: json.RawMessage(`{"version":1}`),
	}.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMarkTextRoundTrip(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{"as JSON": "<html>", "compressed": strings.Repeat("<p>closed & shut</p>", 10_000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := sealed(t, page)
			text, err := m.Text()
			if err != nil {
				t.Fatal(err)
			}
			if packed := !strings.HasPrefix(text, "{"); packed != (name == "compressed") || len(text) > 16<<10 {
				t.Errorf("%d bytes, beginning %.20q", len(text), text)
			}
			got, err := action.ParseMark(text)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Receipt.To.Equal(m.Receipt.To) || !got.Receipt.TakenAt.Equal(m.Receipt.TakenAt) || got.Sum != m.Sum || got.Actor != m.Actor {
				t.Errorf("got %+v, want %+v", got, m)
			}
		})
	}
}

func TestMarkThatCannotBeReliedOn(t *testing.T) {
	t.Parallel()
	small, err := sealed(t, "<html>").Text()
	if err != nil {
		t.Fatal(err)
	}
	large, err := sealed(t, strings.Repeat("<p>closed & shut</p>", 10_000)).Text()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"truncated":            {small[:len(small)-20], "broken off"},
		"compressed truncated": {large[:len(large)-20], "broken off"},
		"edited":               {strings.Replace(small, "<p>1", "<p>3", 1), "changed by hand"},
		"edited target":        {strings.Replace(small, "ingress/web", "ingress/api", 1), "changed by hand"},
		"empty":                {"", "broken off"},
		"not ours":             {"{}", "names no run"},
		"not base64":           {"noren/1+gzip:!!", "broken off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := action.ParseMark(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestMarkOfAnOlderNoren has neither origin nor sum, and is readable.
func TestMarkOfAnOlderNoren(t *testing.T) {
	t.Parallel()
	m, err := action.ParseMark(`{"receipt":{"run":"close-1124-wxyz","step":"close-2","action":"gate/door.close","target":"gate:local/door/shop",` +
		`"from":{"version":1},"to":{"version":1},"takenAt":"2026-11-24T02:00:00Z"},"params":{},"actor":"sato@ops"}`)
	if err != nil || m.Receipt.Run != "close-1124-wxyz" || m.Origin != nil {
		t.Errorf("got %+v, %v", m, err)
	}
}
