package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noren-dev/noren/internal/testmonitors"
)

// cmdAlertmanager starts a real Alertmanager and sets NAME_URL.
func cmdAlertmanager(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "alertmanager NAME")
	dir := ts.MkAbs("alertmanager-" + args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := testmonitors.StartAlertmanager(ctx, dir)
	ts.Check(err)
	ts.Defer(func() { _ = a.Stop() }) // it may have ended
	world(ts).stops[args[0]] = a.Stop
	ts.Setenv(args[0]+"_URL", a.URL)
}

// cmdDown ends a monitoring system: nobody answers there any more.
func cmdDown(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && world(ts).stops[args[0]] != nil, "down NAME")
	ts.Check(world(ts).stops[args[0]]())
}

// cmdSilence makes a silence as a colleague would: for a label, until a while from
// now, with words of her own.
func cmdSilence(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 4, "silence url label=value duration comment")
	name, value, _ := strings.Cut(args[1], "=")
	d, err := time.ParseDuration(args[2])
	ts.Check(err)
	post(ts, args[0]+"/api/v2/silences", map[string]any{"matchers": []any{map[string]any{"name": name, "value": value, "isRegex": false}},
		"startsAt": time.Now(), "endsAt": time.Now().Add(d), "createdBy": "mika", "comment": args[3]})
}

// cmdAlert lets an alert go off.
func cmdAlert(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "alert url label=value...")
	labels := map[string]string{}
	for _, a := range args[1:] {
		name, value, _ := strings.Cut(a, "=")
		labels[name] = value
	}
	post(ts, args[0]+"/api/v2/alerts", []any{map[string]any{"labels": labels}})
}

func post(ts *testscript.TestScript, url string, body any) {
	raw, err := json.Marshal(body)
	ts.Check(err)
	res, err := http.Post(url, "application/json", bytes.NewReader(raw))
	ts.Check(err)
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode/100 != 2 {
		ts.Fatalf("%s: %s: %s", url, res.Status, said)
	}
}

// cmdSilences prints the silences that have not ended, one a line: whose, for
// what, how many minutes are left, and the first line of the comment.
func cmdSilences(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "silences url")
	res, err := http.Get(args[0] + "/api/v2/silences")
	ts.Check(err)
	defer res.Body.Close()
	var all []struct {
		Matchers           []struct{ Name, Value string }
		EndsAt             time.Time
		CreatedBy, Comment string
		Status             struct{ State string }
	}
	ts.Check(json.NewDecoder(res.Body).Decode(&all))
	var lines []string
	for _, s := range all {
		if s.Status.State == "expired" {
			continue
		}
		line := s.CreatedBy
		for _, m := range s.Matchers {
			line += " " + m.Name + "=" + m.Value
		}
		comment, _, _ := strings.Cut(s.Comment, "\n")
		lines = append(lines, fmt.Sprintf("%s %.0fm %s", line, time.Until(s.EndsAt).Minutes(), comment))
	}
	slices.Sort(lines)
	fmt.Fprintf(ts.Stdout(), "%d silences\n%s\n", len(lines), strings.Join(lines, "\n"))
}

// cmdLater lets every noren from now on believe that it is so much later.
func cmdLater(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "later duration")
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Setenv(nowVariable, time.Now().Add(d).Format(time.RFC3339))
}

// cmdVendor starts a server of our own that plays a vendor's API, sets NAME_URL,
// and gives noren the key to it.
func cmdVendor(ts *testscript.TestScript, neg bool, args []string) {
	fakes := map[string]func() *testmonitors.Fake{"DATADOG": testmonitors.Datadog, "PAGERDUTY": testmonitors.PagerDuty,
		"MACKEREL": testmonitors.Mackerel, "NEWRELIC": testmonitors.NewRelic}
	usage(ts, neg, len(args) == 1 && fakes[args[0]] != nil, "vendor DATADOG|PAGERDUTY|MACKEREL|NEWRELIC")
	f := fakes[args[0]]()
	s := httptest.NewServer(world(ts).counted(args[0], f, f.IsRead))
	ts.Defer(s.Close)
	world(ts).vendors[args[0]] = f
	ts.Setenv(args[0]+"_URL", s.URL)
	for _, name := range []string{"DD_API_KEY", "DD_APP_KEY", "PAGERDUTY_TOKEN", "MACKEREL_APIKEY", "NEW_RELIC_API_KEY"} {
		ts.Setenv(name, testmonitors.Key)
	}
}

// cmdThrottle lets a vendor refuse the next requests as too many.
func cmdThrottle(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2 && world(ts).vendors[args[0]] != nil, "throttle VENDOR n")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	world(ts).vendors[args[0]].Throttle(n)
}
