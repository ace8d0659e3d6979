package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdMeddle changes the closing of a door behind noren's back, as a colleague
// with the gate's token would: the door is closed for writes only from then on.
func cmdMeddle(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "meddle door")
	token, err := os.ReadFile(ts.MkAbs("gate-state/admin.token"))
	ts.Check(err)
	door := ts.Getenv("GATE_ADMIN") + "/v1/doors/" + args[0]
	send := func(method, url, tag string, body []byte) *http.Response {
		req, err := http.NewRequest(method, url, bytes.NewReader(body))
		ts.Check(err)
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		req.Header.Set("If-Match", tag)
		res, err := http.DefaultClient.Do(req)
		ts.Check(err)
		if res.StatusCode >= 300 {
			ts.Fatalf("%s %s: %s", method, url, res.Status)
		}
		return res
	}
	res := send(http.MethodGet, door, "", nil)
	defer res.Body.Close()
	var have struct {
		Closed struct {
			Closing map[string]any  `json:"closing"`
			Mark    json.RawMessage `json:"mark,omitempty"`
		} `json:"closed"`
	}
	ts.Check(json.NewDecoder(res.Body).Decode(&have))
	have.Closed.Closing["mode"] = "read-only"
	body, err := json.Marshal(have.Closed)
	ts.Check(err)
	ts.Check(send(http.MethodPut, door+"/closing", res.Header.Get("ETag"), body).Body.Close())
}
