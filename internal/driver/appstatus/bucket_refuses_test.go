package appstatus

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/cdn"
)

// TestOnline: what is wrong with s3, cloudfront and url is said with its key.
func TestOnline(t *testing.T) {
	t.Parallel()
	fits := func() Config {
		c := config("")
		c.S3, c.CloudFront, c.URL = &S3{Bucket: "example-status", Key: key}, &CloudFront{Distribution: cdn.Distribution}, "https://status.example.com/a.json"
		return c
	}
	if err := fits().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(c *Config){
		"s3: the document is in one place":             func(c *Config) { c.File = "/x/s.json" },
		"s3.bucket: ":                                  func(c *Config) { c.S3.Bucket = "Example" },
		"s3.key: ":                                     func(c *Config) { c.S3.Key = "/a.json" },
		"s3: account":                                  func(c *Config) { c.S3.Account = "12" },
		"cloudfront.distribution: ":                    func(c *Config) { c.CloudFront.Distribution = "d1.cloudfront.net" },
		"cloudfront.path: ":                            func(c *Config) { c.CloudFront.Path = "/*" },
		"url: say where apps read the document":        func(c *Config) { c.URL = "" },
		`url: "ftp://x/y" is no http`:                  func(c *Config) { c.URL = "ftp://x/y" },
		"url: \"https://x/a.json?v=1\" is not the":     func(c *Config) { c.URL = "https://x/a.json?v=1" },
		"url: \"https://x\" is not the":                func(c *Config) { c.URL = "https://x" },
		"cloudfront: it goes with s3":                  func(c *Config) { c.S3, c.File, c.URL = nil, "/x/s.json", "" },
		"url: it goes with s3, and the document is in": func(c *Config) { c.S3, c.CloudFront, c.File = nil, nil, "/x/s.json" },
	} {
		c := fits()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestWritableRefuses: what is wrong is found before anything is written, with what
// to do.
func TestWritableRefuses(t *testing.T) {
	testaws.Isolate(t)
	for name, tc := range map[string]struct {
		set  func(t *testing.T, s *cdn.Server, c *Config)
		code fault.Code
		want []string
	}{
		"bucket":         {func(_ *testing.T, _ *cdn.Server, c *Config) { c.S3.Bucket = "exmaple-status" }, fault.NotFound, []string{"no bucket exmaple-status", "aws s3 ls"}},
		"region":         {func(_ *testing.T, s *cdn.Server, _ *Config) { s.MoveBucket("eu-west-1") }, fault.Invalid, []string{"the bucket is in eu-west-1, and prod looks for it in us-east-1", "region: eu-west-1"}},
		"account":        {func(_ *testing.T, s *cdn.Server, _ *Config) { s.SellBucket() }, fault.Denied, []string{"does not belong to account 123456789012", "role"}},
		"other account":  {func(_ *testing.T, _ *cdn.Server, c *Config) { c.S3.Account = "111111111111" }, fault.Invalid, []string{"111111111111", "Nothing was touched"}},
		"expired":        {func(t *testing.T, _ *cdn.Server, _ *Config) { t.Setenv("AWS_ACCESS_KEY_ID", cdn.ExpiredKey) }, fault.Denied, []string{"expired", "AWS_ACCESS_KEY_ID="}},
		"distribution":   {func(_ *testing.T, _ *cdn.Server, c *Config) { c.CloudFront.Distribution = "ENOBODY" }, fault.NotFound, []string{"distribution ENOBODY", "list-distributions"}},
		"may not read":   {func(_ *testing.T, s *cdn.Server, _ *Config) { s.Deny("s3:GetObject") }, fault.Denied, []string{"s3:GetObject", `"arn:aws:s3:::example-status/public/app-status.json"`}},
		"may not write":  {func(_ *testing.T, s *cdn.Server, _ *Config) { s.Deny("s3:PutObject") }, fault.Denied, []string{"s3:PutObject", `"Resource"`}},
		"says no more":   {func(_ *testing.T, s *cdn.Server, _ *Config) { s.Deny("s3:PutObject"); s.BeTerse() }, fault.Denied, []string{"may not s3:PutObject on arn:aws:s3:::example-status/public/", `"s3:PutObject"`}},
		"may not tell":   {func(_ *testing.T, s *cdn.Server, _ *Config) { s.Deny("cloudfront:CreateInvalidation") }, fault.Denied, []string{"cloudfront:CreateInvalidation", `"arn:aws:cloudfront::123456789012:distribution/E2QWRUHAPOMQZL"`}},
		"may not see":    {func(_ *testing.T, s *cdn.Server, _ *Config) { s.Deny("cloudfront:GetInvalidation"); s.BeTerse() }, fault.Denied, []string{`"cloudfront:GetInvalidation"`}},
		"not a document": {func(_ *testing.T, s *cdn.Server, _ *Config) { s.Put(key, []byte("<html>")) }, fault.Invalid, []string{"cannot be read", "aws s3 mv"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := cdn.Start(t)
			cfg := inS3(s)
			tc.set(t, s, &cfg)
			_, err := process(t, cfg).place.writable(t.Context())
			var f *fault.Fault
			if !errors.As(err, &f) || f.Code != tc.code {
				t.Fatalf("got %v, want %s", err, tc.code)
			}
			said := f.Summary + "\n" + f.Detail + "\n" + strings.Join(f.Try, "\n")
			for _, want := range tc.want {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in\n%s", want, said)
				}
			}
			if calls := s.Calls(); len(calls) > 0 {
				t.Errorf("it wrote: %v", calls)
			}
		})
	}
}

// TestWritableLooksAsAppsDo: what apps would get is looked at before a closing.
func TestWritableLooksAsAppsDo(t *testing.T) {
	testaws.Isolate(t)
	for name, tc := range map[string]struct {
		set  func(s *cdn.Server, c *Config)
		ok   bool
		want string
	}{
		"all is well":   {func(*cdn.Server, *Config) {}, true, "can be written: s3://example-status/public/app-status.json"},
		"no url":        {func(_ *cdn.Server, c *Config) { c.CloudFront, c.URL = nil, "" }, true, "no url"},
		"blind":         {func(s *cdn.Server, _ *Config) { s.Blind(true) }, false, `"AWS:SourceArn": "arn:aws:cloudfront::123456789012:distribution/E2QWRUHAPOMQZL"`},
		"another path":  {func(_ *cdn.Server, c *Config) { c.URL = strings.Replace(c.URL, "app-status", "other", 1) }, false, "answers 403"},
		"nobody there":  {func(_ *cdn.Server, c *Config) { c.URL = "http://127.0.0.1:1/app-status.json" }, false, "cannot be asked for from here"},
		"marks in view": {func(s *cdn.Server, _ *Config) { s.Put("public/.app-status.json.marks", []byte(`{"shop":"mika"}`)) }, false, "everybody can read who closed what"},
	} {
		t.Run(name, func(t *testing.T) {
			s := cdn.Start(t)
			cfg := inS3(s)
			put(t, s, process(t, cfg), func(*appstatus.Document) {})
			tc.set(s, &cfg)
			v, err := process(t, cfg).place.writable(t.Context())
			if said := v.Summary + strings.Join(slices.Concat(v.Findings, v.Try), "\n"); err != nil || v.OK != tc.ok || !strings.Contains(said, tc.want) {
				t.Errorf("%v %s, %v; want %t and %q", v.OK, said, err, tc.ok, tc.want)
			}
			if calls := s.Calls(); len(calls) > 0 {
				t.Errorf("it wrote: %v", calls)
			}
		})
	}
}
