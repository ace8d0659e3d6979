// Package pageapi is what drivers and the page server say to one another: how
// a closed page is kept where the page server finds it. Nothing here does I/O.
//
// A page is a few files: page.json says for which requests it is and how it is
// answered, closed.html and closed.json are what customers and programs read.
// On Kubernetes the files are the data of a ConfigMap with the label [Label] in
// the page server's own namespace; anywhere else they are in a folder of the
// directory that the page server is given. One writes them, the page server
// reads them; they have no other contact:
//
//  1. a driver creates the ConfigMap (package kubepage has the change), then
//     routes requests to the page server's Service, [DefaultService] by default;
//  2. the page server answers requests whose host and path a page is for, with
//     the page's status and headers, and with HTML or JSON by Accept;
//  3. opening goes the other way: the route first, the ConfigMap after it. The
//     page server goes on serving a page that is gone for [Linger], since
//     controllers take a moment to change a route.
//
// A request for a host that no page is for gets a neutral 503 without a mark:
// never 200, which monitors and caches would believe, and never 404, which
// search engines would.
package pageapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/edge"
)

// Names that drivers, manifests and the page server share.
const (
	// Label is on ConfigMaps that hold a page; its value is LabelValue.
	Label      = "noren.dev/page"
	LabelValue = "closed"

	// DefaultService and DefaultPort are what "noren page manifest" makes.
	DefaultService = "noren-page"
	DefaultPort    = 80

	// HealthyPath and ReadyPath answer on the page server's second port.
	HealthyPath = "/-/healthy"
	ReadyPath   = "/-/ready"

	// ServerHeader names the page server in its answers: its value is
	// ServerName. A driver knows by it that a Service leads to a page server.
	ServerHeader = "Server"
	ServerName   = "noren-page"

	// Neutral is the body of the answer for a host that no page is for.
	Neutral = "503: this service is not available at the moment.\n"
)

// The files of a page. At least one of FileHTML and FileJSON is there.
const (
	FileAbout = "page.json"
	FileHTML  = "closed.html"
	FileJSON  = "closed.json"
)

// MaxSize is how many bytes the files of a page may have together: a ConfigMap
// holds 1 MiB, names of its keys included.
// Source: https://kubernetes.io/docs/concepts/configuration/configmap/
const MaxSize = 1<<20 - 1<<10

// Linger is how long a page is served after it was taken away.
const Linger = time.Minute

// A Page is the closed page of one entrance.
type Page struct {
	// Hosts that it is for: exact ones, "*.example.com" for any below it, ""
	// for any. Empty: any.
	Hosts []string `json:"hosts,omitempty"`
	// Paths that it is for, where another page may be for other paths of the
	// same host: "/api" is for /api and all below it. Empty: any. Where the
	// path of a request fits no page of its host, any of them is served: a
	// controller may have rewritten it.
	Paths []string `json:"paths,omitempty"`
	// Response is what is answered; its Twin is what is answered where a
	// request's Accept prefers the twin's type.
	Response edge.Response `json:"response"`
}

// about is page.json.
type about struct {
	Version int               `json:"version"`
	Hosts   []string          `json:"hosts,omitempty"`
	Paths   []string          `json:"paths,omitempty"`
	Status  int               `json:"status,omitempty"`
	Header  map[string]string `json:"header,omitempty"`
	Mark    string            `json:"mark,omitempty"`
	// Types are the content types of the files, the first one's first: that is
	// served where Accept prefers neither.
	Files []content `json:"files,omitempty"`
}

type content struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

const aboutVersion = 1

// Files returns the files of a page, in the same bytes for the same page.
func (p Page) Files() (map[string]string, error) {
	a := about{Version: aboutVersion, Hosts: p.Hosts, Paths: p.Paths, Status: p.Response.Status, Header: p.Response.Header, Mark: p.Response.Mark}
	files := map[string]string{}
	bodies := []edge.Twin{{ContentType: p.Response.ContentType, Body: p.Response.Body}}
	if p.Response.Twin != nil {
		bodies = append(bodies, *p.Response.Twin)
	}
	for _, b := range bodies {
		name := FileHTML
		if isJSON(b.ContentType) {
			name = FileJSON
		}
		if _, taken := files[name]; taken {
			return nil, fmt.Errorf("page: two bodies are of the type of %s", name)
		}
		files[name] = b.Body
		a.Files = append(a.Files, content{name, b.ContentType})
	}
	raw, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	files[FileAbout] = string(raw) + "\n"
	return files, nil
}

// Parse reads the files of a page. Files of other names are ignored. Without
// page.json it is for any host; then status, types and mark are the usual ones.
func Parse(files map[string]string, markIn func(body string) string) (Page, error) {
	a := about{Version: aboutVersion}
	if raw, ok := files[FileAbout]; ok {
		if err := json.Unmarshal([]byte(raw), &a); err != nil {
			return Page{}, fmt.Errorf("%s: %w", FileAbout, err)
		}
	}
	if a.Version != aboutVersion {
		return Page{}, fmt.Errorf("%s has version %d, this page server reads version %d: it needs a newer noren", FileAbout, a.Version, aboutVersion)
	}
	if a.Status == 0 {
		a.Status = http.StatusServiceUnavailable
	}
	if a.Status < 400 || a.Status > 599 {
		return Page{}, fmt.Errorf("%s: a page server does not answer %d for something that is closed", FileAbout, a.Status)
	}
	if len(a.Files) == 0 {
		a.Files = []content{{FileHTML, "text/html; charset=utf-8"}, {FileJSON, "application/problem+json"}}
	}
	p := Page{Hosts: a.Hosts, Paths: a.Paths}
	for _, f := range a.Files {
		body, there := files[f.Name]
		if !there || f.Name == FileAbout {
			continue
		}
		if p.Response.Status != 0 {
			p.Response.Twin = &edge.Twin{ContentType: f.Type, Body: body}
			break
		}
		p.Response = edge.Response{Status: a.Status, ContentType: f.Type, Body: body, Header: a.Header, Mark: a.Mark}
		if a.Mark == "" && markIn != nil {
			p.Response.Mark = markIn(body)
		}
	}
	if p.Response.Status == 0 {
		return Page{}, fmt.Errorf("neither %s nor %s is there", FileHTML, FileJSON)
	}
	return p, nil
}

// Size is how many bytes files take in a ConfigMap.
func Size(files map[string]string) int {
	n := 0
	for name, body := range files {
		n += len(name) + len(body)
	}
	return n
}

// Digest is of files by content.
func Digest(files map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%d %s %d ", len(name), name, len(files[name]))
		h.Write([]byte(files[name]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func isJSON(contentType string) bool {
	bare, _, _ := strings.Cut(contentType, ";")
	return strings.HasSuffix(strings.TrimSpace(bare), "json")
}
