package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// meddlings are what happens to the mark of a closed door; nil takes it away.
var meddlings = map[string]func(mark map[string]any){
	"unmark": nil,
	"edit":   func(m map[string]any) { m["actor"] = "nobody@nowhere" },
	// As an older noren left it.
	"old": func(m map[string]any) {
		delete(m, "origin")
		delete(m, "sum")
	},
}

// A closedDoor is what a gate says of one. The mark is kept as it is, since its
// sum is over its very text.
type closedDoor struct {
	Closing map[string]any  `json:"closing"`
	Mark    json.RawMessage `json:"mark,omitempty"`
}

func (c *closedDoor) meddle(ts *testscript.TestScript, how string) {
	change := meddlings[how]
	if change == nil {
		c.Mark = nil
		return
	}
	mark := map[string]any{}
	ts.Check(json.Unmarshal(c.Mark, &mark))
	change(mark)
	var err error
	c.Mark, err = json.Marshal(mark)
	ts.Check(err)
}

// cmdMeddle changes the closing of a door behind noren's back, as a colleague
// with the gate's token would: the door is closed for writes only from then on,
// or what is said happens to its mark. With a second door, that one is closed
// with the first one's closing and mark.
func cmdMeddle(ts *testscript.TestScript, neg bool, args []string) {
	known := true
	if len(args) == 2 {
		_, known = meddlings[args[1]]
	}
	usage(ts, neg, known && len(args) > 0 && (len(args) < 3 || len(args) == 3 && args[1] == "copy"), "meddle door [edit|unmark|old|copy door]")
	token, err := os.ReadFile(ts.MkAbs("gate-state/admin.token"))
	ts.Check(err)
	send := func(method, door, path, tag string, body []byte) *http.Response {
		req, err := http.NewRequest(method, ts.Getenv("GATE_ADMIN")+"/v1/doors/"+door+path, bytes.NewReader(body))
		ts.Check(err)
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		req.Header.Set("If-Match", tag)
		res, err := http.DefaultClient.Do(req)
		ts.Check(err)
		if res.StatusCode >= 300 {
			ts.Fatalf("%s %s: %s", method, door, res.Status)
		}
		return res
	}
	res := send(http.MethodGet, args[0], "", "", nil)
	defer res.Body.Close()
	var have struct {
		Closed closedDoor `json:"closed"`
	}
	ts.Check(json.NewDecoder(res.Body).Decode(&have))
	to, tag := args[0], res.Header.Get("ETag")
	switch {
	case len(args) == 3:
		to, tag = args[2], `"open"`
		have.Closed.Closing["hosts"] = []string{args[2] + ".test"}
	case len(args) == 2:
		have.Closed.meddle(ts, args[1])
	default:
		have.Closed.Closing["mode"] = "read-only"
	}
	body, err := json.Marshal(have.Closed)
	ts.Check(err)
	ts.Check(send(http.MethodPut, to, "/closing", tag, body).Body.Close())
}
