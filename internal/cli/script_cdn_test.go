package cli_test

import (
	"fmt"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noren-dev/noren/internal/testaws/cdn"
)

// cmdCDN starts an S3 with a CloudFront in front of it and sets NAME_API, the
// address of AWS's services, and NAME_URL, where customers read; credentials are
// some that it takes. With a NAME that is started, it does something to it.
func cmdCDN(ts *testscript.TestScript, neg bool, args []string) {
	const text = "cdn NAME [deny right|grant right|slow n|deaf|hearing|blind|seeing|crowd n|invalidations]"
	usage(ts, neg, len(args) > 0 && (len(args) == 1 || world(ts).cdns[args[0]] != nil), text)
	if len(args) == 1 {
		s := cdn.New()
		ts.Defer(s.Serve())
		world(ts).cdns[args[0]] = s
		ts.Setenv(args[0]+"_API", s.Endpoint)
		ts.Setenv(args[0]+"_URL", s.URL)
		for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
			"AWS_CONFIG_FILE": ts.MkAbs("none"), "AWS_SHARED_CREDENTIALS_FILE": ts.MkAbs("none")} {
			ts.Setenv(name, value)
		}
		return
	}
	s, n := world(ts).cdns[args[0]], 0
	right := ""
	if len(args) == 3 {
		right = args[2]
		n, _ = strconv.Atoi(right) // a right is no number
	}
	does := map[string]func(){
		"deny": func() { s.Deny(right) }, "grant": func() { s.Grant(right) }, "slow": func() { s.Slow(n) }, "crowd": func() { s.Crowd(n) },
		"deaf": func() { s.Deaf(true) }, "hearing": func() { s.Deaf(false) }, "blind": func() { s.Blind(true) }, "seeing": func() { s.Blind(false) },
		"sell": s.SellBucket, "invalidations": func() { fmt.Fprintln(ts.Stdout(), s.Invalidations()) },
	}[args[1]]
	usage(ts, neg, does != nil, text)
	does()
}
