package cli_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testaws/strict"
)

// cmdCloudWatch starts a CloudWatch of our own with some alarms, sets NAME_URL, and
// gives noren credentials. name=RULE makes a composite alarm.
func cmdCloudWatch(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "cloudwatch NAME alarm|name=rule...")
	fake := cloudwatch.New(strict.New())
	fake.Hurry()
	for _, a := range args[1:] {
		name, rule, _ := strings.Cut(a, "=")
		fake.Record(cloudwatch.Alarm{Name: name, Rule: rule, Actions: []string{"arn:aws:sns:us-east-1:123456789012:night"}})
	}
	s := httptest.NewServer(fake)
	ts.Defer(s.Close)
	world(ts).alarms[args[0]] = fake
	world(ts).stops[args[0]] = func() error { s.Close(); return nil }
	ts.Setenv(args[0]+"_URL", s.URL)
	none := ts.MkAbs("none")
	for name, value := range map[string]string{"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"} {
		ts.Setenv(name, value)
	}
}

func alarms(ts *testscript.TestScript, name string) *cloudwatch.Server {
	fake := world(ts).alarms[name]
	if fake == nil {
		ts.Fatalf("there is no cloudwatch %s", name)
	}
	return fake
}

// cmdRing lets an alarm go off.
func cmdRing(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "ring NAME alarm")
	alarms(ts, args[0]).Ring(args[1], true)
}

// cmdMuteRule makes a mute rule as a colleague would.
func cmdMuteRule(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 4, "muterule NAME rule duration words alarm...")
	d, err := time.ParseDuration(args[2])
	ts.Check(err)
	alarms(ts, args[0]).Meddle(args[1], d, args[3], args[4:]...)
}

// cmdMuteRules prints the mute rules, one a line.
func cmdMuteRules(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "muterules NAME")
	rules := alarms(ts, args[0]).Rules()
	fmt.Fprintf(ts.Stdout(), "%d rules\n%s\n", len(rules), strings.Join(rules, "\n"))
}
