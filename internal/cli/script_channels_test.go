package cli_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noren-dev/noren/internal/testchannels"
)

// webhookSecret is that of every receiver in scripts.
const webhookSecret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// slackToken is that of every Slack in scripts.
const slackToken = "xoxb-1234-abcd"

// mailPassword is that of every mail server in scripts.
const mailPassword = "correct horse"

// statuspageKey is that of every page of Statuspage in scripts.
const statuspageKey = "9b6e-0c7d"

// cachetToken is that of every page of Cachet in scripts.
const cachetToken = "7-c4ch3t-t0ken"

// cmdHears starts a server that hears what a channel tells: what it took is in
// the file NAME.log, a line each, and NAME_URL is where it is.
func cmdHears(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "hears webhook|slack|smtp|statuspage|cachet name")
	name := args[1]
	path := ts.MkAbs(name + ".log")
	ts.Check(os.WriteFile(path, nil, 0o600))
	var ledger *testchannels.Ledger
	switch args[0] {
	case "webhook":
		w := &testchannels.Webhook{Secret: webhookSecret, Now: clock(ts.Getenv(nowVariable)), Tolerance: 24 * time.Hour} // the clock of a script jumps
		server := httptest.NewServer(w)
		ts.Defer(server.Close)
		ts.Setenv(strings.ToUpper(name)+"_URL", server.URL)
		ts.Setenv(strings.ToUpper(name)+"_SECRET", webhookSecret)
		ledger = &w.Ledger
	case "slack":
		s := &testchannels.Slack{Token: slackToken, Channel: "C0123456789", Pace: time.Second}
		server := httptest.NewServer(s)
		ts.Defer(server.Close)
		ts.Setenv(strings.ToUpper(name)+"_URL", server.URL)
		ts.Setenv(strings.ToUpper(name)+"_TOKEN", slackToken)
		ledger = &s.Ledger
	case "smtp":
		m, err := testchannels.NewMail("noren", mailPassword)
		ts.Check(err)
		ts.Defer(m.Close)
		ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), m.PEM, 0o600))
		ts.Setenv(strings.ToUpper(name)+"_PORT", m.Port)
		ts.Setenv(strings.ToUpper(name)+"_PASSWORD", mailPassword)
		ledger = &m.Ledger
	case "statuspage":
		s := &testchannels.Statuspage{Key: statuspageKey, Page: "kctbh9vrtdwd", Components: map[string]string{"8kbf7d35c070": "operational"}}
		for i := range 10 {
			s.Components[fmt.Sprintf("c%d", i)] = "operational"
		}
		server := httptest.NewServer(world(ts).counted(name, s, nil))
		ts.Defer(server.Close)
		ts.Setenv(strings.ToUpper(name)+"_URL", server.URL)
		ts.Setenv(strings.ToUpper(name)+"_KEY", statuspageKey)
		ledger = &s.Ledger
	case "cachet":
		c := &testchannels.Cachet{Token: cachetToken, Components: map[int64]string{3: "Shop"}, Now: time.Now}
		server := httptest.NewServer(world(ts).counted(name, c, nil))
		ts.Defer(server.Close)
		ts.Setenv(strings.ToUpper(name)+"_URL", server.URL)
		ts.Setenv(strings.ToUpper(name)+"_TOKEN", cachetToken)
		ledger = &c.Ledger
	default:
		ts.Fatalf("hears: %s", args[0])
	}
	ledger.Told = func(line string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return
		}
		_, _ = f.WriteString(line + "\n")
		_ = f.Close()
	}
	world(ts).ledgers[name] = ledger
}

// cmdDeaf makes a server answer as one that is down; ! deaf makes it hear again.
func cmdDeaf(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, false, len(args) == 1 && world(ts).ledgers[args[0]] != nil, "[!] deaf name")
	n := -1
	if neg {
		n = 0
	}
	world(ts).ledgers[args[0]].Down(n)
}

// cmdForget empties what servers took.
func cmdForget(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && world(ts).ledgers[args[0]] != nil, "silence name")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".log"), nil, 0o600))
}

// cmdAsked fails if a page was asked more often than so since the last time.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "asked name most")
	page, ok := world(ts).standers[args[0]].(*testchannels.Statuspage)
	if !ok {
		ts.Fatalf("asked: %s is no page of Statuspage", args[0])
	}
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	n := page.Calls()
	ts.Logf("asked %d times", n)
	if n == 0 || n > most {
		ts.Fatalf("asked: %d calls, want at most %d", n, most)
	}
}

// cmdHeardAll fails unless each run that a receiver heard of began once and ended
// once: what came again says so.
func cmdHeardAll(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "heardall name")
	heard := map[string]map[string]int{}
	for line := range strings.Lines(ts.ReadFile(args[0] + ".log")) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] == "again" {
			continue
		}
		id, _, _ := strings.Cut(words[1], "/")
		if heard[id] == nil {
			heard[id] = map[string]int{}
		}
		heard[id][words[0]]++
	}
	if len(heard) == 0 {
		ts.Fatalf("heardall: nothing was heard")
	}
	for id, n := range heard {
		if n["dev.noren.run.started"] != 1 || n["dev.noren.run.ended"] != 1 {
			ts.Fatalf("heardall: of run %s: %v", id, n)
		}
	}
	ts.Logf("heardall: %d runs", len(heard))
}
