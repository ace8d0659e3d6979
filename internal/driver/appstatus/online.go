package appstatus

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/noren-dev/noren/internal/awsclient"
)

// S3 says which object of S3 is the document, and as whom noren works there.
type S3 struct {
	Bucket string `json:"bucket" jsonschema:"required,example=example-status" jsonschema_description:"The bucket. It is there already."`
	Key    string `json:"key" jsonschema:"required,example=app-status.json" jsonschema_description:"The document's key in it."`
	awsclient.Config
}

// CloudFront says what serves the object.
type CloudFront struct {
	Distribution string `json:"distribution" jsonschema:"required,example=E2QWRUHAPOMQZL" jsonschema_description:"The ID of the distribution, in the account of s3."`
	// Path is where the distribution serves the object; by default that of URL.
	Path string `json:"path,omitempty" jsonschema:"example=/app-status.json" jsonschema_description:"Where the distribution serves the object, which is what it is told to forget. By default the path of url."`
}

var (
	// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	bucketForm       = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	pathForm         = regexp.MustCompile(`^/[^*?#\s]*[^*?#\s/]$`)
	distributionForm = regexp.MustCompile(`^[A-Z0-9]+$`)
)

// longestKey is that of an object. Source:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const longestKey = 1024

// online finds what is wrong with s3, cloudfront and url.
func (c Config) online(add func(key, format string, args ...any)) {
	if c.S3 == nil {
		const alone = "it goes with s3, and the document is in none"
		if c.CloudFront != nil {
			add("cloudfront", alone)
		}
		if c.URL != "" {
			add("url", alone)
		}
		return
	}
	if !bucketForm.MatchString(c.S3.Bucket) {
		add("s3.bucket", "%q is not the name of a bucket, such as example-status", c.S3.Bucket)
	}
	// The marks' key is a little longer.
	if k := c.S3.Key; k == "" || len(k) > longestKey-16 || strings.HasPrefix(k, "/") || strings.HasSuffix(k, "/") {
		add("s3.key", "%q is not the key of a document, such as app-status.json", k)
	}
	if err := c.S3.Validate(); err != nil {
		add("s3", "%v", err)
	}
	if c.CloudFront != nil && !distributionForm.MatchString(c.CloudFront.Distribution) {
		add("cloudfront.distribution", "%q is not the ID of a distribution, such as E2QWRUHAPOMQZL", c.CloudFront.Distribution)
	}
	if c.CloudFront != nil && c.CloudFront.Path != "" && !pathForm.MatchString(c.CloudFront.Path) {
		add("cloudfront.path", "%q is not the path of one document, such as /app-status.json", c.CloudFront.Path)
	}
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "" && c.CloudFront != nil && c.CloudFront.Path == "":
		add("url", "say where apps read the document, such as https://status.example.com/app-status.json: it is what CloudFront is told to forget, and where noren looks whether it did. Where noren cannot reach it, say cloudfront.path instead")
	case c.URL == "":
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		add("url", "%q is no http or https URL", c.URL)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(u.Path, "/") || u.Path == "":
		add("url", "%q is not the address of a document alone: leave out what is before the host and after the path", c.URL)
	}
}

// ResidesIn implements driver.Resident.
func (c Config) ResidesIn() string {
	if c.S3 != nil {
		return "aws"
	}
	return ""
}

// path is where CloudFront serves the document.
func (c Config) path() string {
	if c.CloudFront != nil && c.CloudFront.Path != "" {
		return c.CloudFront.Path
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.EscapedPath() == "" {
		return "/"
	}
	return u.EscapedPath()
}
