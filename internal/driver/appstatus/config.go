package appstatus

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// Config says where the document is, and what is in it whatever is closed.
type Config struct {
	// File is the document's path; its directory must be there. The gate, the
	// page server or any web server answers with it.
	File string `json:"file,omitempty" jsonschema:"example=/var/lib/noren/app-status.json" jsonschema_description:"The document, in a directory that is there. The gate (app_status), the page server (--app-status) or any web server serves it."`
	// ConfigMap is where the document is instead, as namespace/name.
	ConfigMap  string `json:"configmap,omitempty" jsonschema:"example=shop/noren-app-status" jsonschema_description:"The ConfigMap that holds the document instead, as namespace/name. The page server of that namespace serves it."`
	Kubeconfig string `json:"kubeconfig,omitempty" jsonschema_description:"The kubeconfig for configmap. By default that of kube."`
	Context    string `json:"context,omitempty" jsonschema_description:"A context in it. By default that of kube."`
	// S3 is where the document is instead, CloudFront what serves it from there,
	// and URL where apps read it.
	S3         *S3         `json:"s3,omitempty" jsonschema_description:"The object of S3 that is the document instead. Region, account and credentials are by default those of aws."`
	CloudFront *CloudFront `json:"cloudfront,omitempty" jsonschema_description:"The distribution that serves the object: it is told when the document changes. It needs url."`
	URL        string      `json:"url,omitempty" jsonschema:"example=https://status.example.com/app-status.json" jsonschema_description:"Where apps read the document of s3. A closing waits until it is seen there."`

	Services map[string]Service `json:"services" jsonschema:"required" jsonschema_description:"The services that apps may know of, by their names in this file, with what customers call them."`
	Apps     map[string]App     `json:"apps,omitempty" jsonschema_description:"What is asked of apps, by platform, such as ios and android."`
	Upcoming []Window           `json:"upcoming,omitempty" jsonschema_description:"Work that is announced to apps ahead; noren appstatus publish tells them."`
}

// Service is how a service appears.
type Service struct {
	Name map[string]string `json:"name" jsonschema:"required,minProperties=1" jsonschema_description:"What customers call it, by language."`
}

// App is what is asked of an app on one platform.
type App struct {
	Minimum string            `json:"minimum" jsonschema:"required,example=3.2.0" jsonschema_description:"The oldest version that still works, in quotes: numbers with dots between."`
	Store   string            `json:"store,omitempty" jsonschema_description:"Where the app is updated: an https URL."`
	Message map[string]string `json:"message,omitempty" jsonschema_description:"What to tell the user of an older app, by language."`
}

// Window is work that is announced. Times are RFC 3339 with an offset.
type Window struct {
	Services []string          `json:"services" jsonschema:"required,minItems=1" jsonschema_description:"The services that will be closed."`
	Start    string            `json:"start" jsonschema:"required,format=date-time,example=2026-12-01T02:00:00+09:00" jsonschema_description:"When it is planned to begin: RFC 3339 with an offset."`
	End      string            `json:"end" jsonschema:"required,format=date-time" jsonschema_description:"When it is planned to end."`
	Message  map[string]string `json:"message,omitempty" jsonschema_description:"What to tell people, by language."`
}

// Pin makes the paths absolute. The context is left to be inherited from the
// driver kube, which pins it, unless a kubeconfig is given here.
func (c *Config) Pin(dir string) error {
	driver.Absolute(dir, &c.File)
	if c.ConfigMap == "" || c.Kubeconfig == "" {
		return nil
	}
	return kubeclient.Pin(dir, &c.Kubeconfig, &c.Context)
}

// Located tells that a file or an object of S3 is in no cluster.
func (c Config) Located() bool { return c.File != "" || c.S3 != nil }

// mapForm is what a ConfigMap and its namespace may be called.
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
var mapForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// versionForm is what every platform's version compare agrees on.
var versionForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,3}$`)

var languageForm = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// Validate finds what is wrong without I/O. Each error begins with the key.
func (c Config) Validate() error {
	var errs []error
	add := func(key, format string, args ...any) {
		errs = append(errs, keyed{key, fmt.Errorf(format, args...)})
	}
	switch {
	case c.S3 != nil && (c.File != "" || c.ConfigMap != ""):
		add("s3", "the document is in one place: s3, file or configmap")
	case c.S3 != nil:
	case c.ConfigMap != "" && c.File != "":
		add("configmap", "the document is in a file or in a ConfigMap, not in both")
	case c.ConfigMap != "" && !mapForm.MatchString(c.ConfigMap):
		add("configmap", "%q is no namespace/name of a ConfigMap, such as shop/noren-app-status", c.ConfigMap)
	case c.ConfigMap == "" && (c.File == "" || strings.HasSuffix(c.File, "/")):
		add("file", "name the file of the document, such as /var/lib/noren/app-status.json, or a configmap, or s3")
	}
	c.online(add)
	if len(c.Services) == 0 {
		add("services", "name the services that apps may know of, such as services: {shop: {name: {en: Shop}}}")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		if len(c.Services[name].Name) == 0 {
			add("services."+name+".name", "say what customers call it, such as name: {en: Shop}")
		}
		texts(add, "services."+name+".name", c.Services[name].Name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		c.Apps[name].validate(add, "apps."+name)
	}
	for i, w := range c.Upcoming {
		c.window(add, fmt.Sprintf("upcoming.%d", i), w)
	}
	return errors.Join(errs...)
}

func (a App) validate(add func(key, format string, args ...any), key string) {
	switch {
	case a.Minimum == "":
		add(key+".minimum", "say the oldest version that still works, such as \"3.2.0\"")
	case !versionForm.MatchString(a.Minimum):
		add(key+".minimum", "%q is no version that apps can compare: up to four numbers with dots between, such as %q", a.Minimum, plainVersion(a.Minimum))
	}
	if u, err := url.Parse(a.Store); a.Store != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		add(key+".store", "%q is no https URL", a.Store)
	}
	texts(add, key+".message", a.Message)
}

// plainVersion is what of a version can be compared: of "v3.2.0-beta" 3.2.0.
func plainVersion(s string) string {
	if v := regexp.MustCompile(`[0-9]+(\.[0-9]+){0,3}`).FindString(s); v != "" {
		return v
	}
	return "3.2.0"
}

func (c Config) window(add func(key, format string, args ...any), key string, w Window) {
	if len(w.Services) == 0 {
		add(key+".services", "name the services that will be closed")
	}
	for i, name := range w.Services {
		if _, known := c.Services[name]; !known {
			add(fmt.Sprintf("%s.services.%d", key, i), "%q is not among the services that apps may know of: %s", name, strings.Join(slices.Sorted(maps.Keys(c.Services)), ", "))
		}
	}
	at := func(name, s string) time.Time {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			add(key+"."+name, "%q is not a time in RFC 3339 with an offset, such as 2026-12-01T02:00:00+09:00", s)
		}
		return t
	}
	start, end := at("start", w.Start), at("end", w.End)
	if !start.IsZero() && !end.IsZero() && !end.After(start) {
		add(key+".end", "the end %s is not after the start %s", w.End, w.Start)
	}
	texts(add, key+".message", w.Message)
}

func texts(add func(key, format string, args ...any), key string, byLanguage map[string]string) {
	for _, lang := range slices.Sorted(maps.Keys(byLanguage)) {
		if !languageForm.MatchString(lang) {
			add(key+"."+lang, "%q is not the tag of a language, such as ja, en or pt-BR", lang)
		}
	}
}

// keyed is an error about one key of the section.
type keyed struct {
	key string
	err error
}

func (k keyed) Error() string { return k.key + ": " + k.err.Error() }
func (k keyed) Unwrap() error { return k.err }

// Key tells which key the error is about: names and indexes joined by dots.
func (k keyed) Key() string { return k.key }

// ServicesNamed implements driver.ServiceNamer.
func (c Config) ServicesNamed() map[string]string {
	named := map[string]string{}
	for name := range c.Services {
		named["services."+name] = name
	}
	return named
}

// static is what the document says whatever is closed.
func (c Config) static() *Static {
	s := &Static{Services: map[string]map[string]string{}}
	for name, service := range c.Services {
		s.Services[name] = service.Name
	}
	for name, a := range c.Apps {
		if s.Apps == nil {
			s.Apps = map[string]appstatus.App{}
		}
		s.Apps[name] = appstatus.App(a)
	}
	for _, w := range c.Upcoming {
		start, _ := time.Parse(time.RFC3339, w.Start) // validated
		end, _ := time.Parse(time.RFC3339, w.End)
		s.Upcoming = append(s.Upcoming, appstatus.Window{Services: w.Services, Start: start.UTC(), End: end.UTC(), Message: w.Message})
	}
	slices.SortStableFunc(s.Upcoming, func(a, b appstatus.Window) int { return a.Start.Compare(b.Start) })
	return s
}
