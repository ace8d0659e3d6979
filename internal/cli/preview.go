package cli

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"regexp"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
)

//go:embed preview.html
var previewHTML string

// A preview serves closed pages, and an index that shows them side by side.
// Pages are made anew for each request.
type preview struct {
	listener net.Listener
	index    *template.Template
	pages    func(json bool) ([]shownPage, error)
}

func newPreview(ctx context.Context, address string, pages func(json bool) ([]shownPage, error)) (*preview, error) {
	index, err := template.New("index").Parse(previewHTML)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "preview cannot listen", Detail: fmt.Sprintf("The address %s cannot be used: %v.", address, err),
			Try: []string{"--address 127.0.0.1:0"}, Err: err}
	}
	return &preview{listener: l, index: index, pages: pages}, nil
}

func (p *preview) url() string { return "http://" + p.listener.Addr().String() + "/" }

func (p *preview) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.serveIndex)
	mux.HandleFunc("GET /{service}/closed.html", func(w http.ResponseWriter, r *http.Request) { p.servePage(w, r, false) })
	mux.HandleFunc("GET /{service}/closed.json", func(w http.ResponseWriter, r *http.Request) { p.servePage(w, r, true) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // nothing is lost with a preview
	defer stop()
	if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

// A previewRow is a service in the index.
type previewRow struct {
	Name, Kind, Env    string
	HTML, JSON         previewSize
	Notes              []string
	JSONBody           string
	Problem            string
	ShowsHTML, Limited bool
}

// A previewSize is a page's weight.
type previewSize struct {
	Bytes, Limit int
	Percent      int
}

func sizeOf(p shownPage) previewSize {
	// A door without a limit still has the strictest one beside it, to tell
	// whether the page would do elsewhere.
	limit := p.limit
	if limit == page.Unlimited {
		limit = page.ALBLimit
	}
	return previewSize{Bytes: len(p.page.Body), Limit: limit, Percent: min(100, 100*len(p.page.Body)/limit)}
}

func (p *preview) serveIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	htmls, err := p.pages(false)
	var jsons []shownPage
	if err == nil {
		jsons, err = p.pages(true)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var rows []previewRow
	for i, h := range htmls {
		row := previewRow{Name: h.service.Name, Kind: string(h.service.Kind), Env: h.env, ShowsHTML: h.service.Kind == catalog.Web,
			Notes: h.page.Notes, Limited: h.limit != page.Unlimited, JSONBody: string(jsons[i].page.Body), HTML: sizeOf(h), JSON: sizeOf(jsons[i])}
		if err := errors.Join(h.err, jsons[i].err); err != nil {
			row.Problem = err.Error()
		}
		rows = append(rows, row)
	}
	var body bytes.Buffer
	if err := p.index.Execute(&body, rows); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // the reader may be gone
}

// servePage answers as a door would, but with 200: a browser shows a frame of
// 503 all the same, and its console stays quiet.
func (p *preview) servePage(w http.ResponseWriter, r *http.Request, json bool) {
	w.Header().Set("Cache-Control", "no-store")
	pages, err := p.pages(json)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, s := range pages {
		if s.service.Name != r.PathValue("service") {
			continue
		}
		if s.err != nil {
			http.Error(w, s.err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", s.page.ContentType)
		_, _ = w.Write(inScheme(s.page.Body, r.URL.Query().Get("scheme"))) // the reader may be gone
		return
	}
	http.NotFound(w, r)
}

var darkQuery = regexp.MustCompile(`prefers-color-scheme:\s*dark`)

// inScheme makes a page show itself light or dark whatever the browser
// prefers.
func inScheme(body []byte, scheme string) []byte {
	switch scheme {
	case "dark":
		body = darkQuery.ReplaceAll(body, []byte("min-width:0"))
	case "light":
		body = darkQuery.ReplaceAll(body, []byte("max-width:0"))
	default:
		return body
	}
	return append(bytes.Clone(body), []byte("<style>*{color-scheme:"+scheme+"!important}</style>")...)
}
