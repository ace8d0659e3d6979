package appstatus

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// CacheControl says how long, in seconds, a phone or a cache on the way may keep the
// document without asking again: a minute passes quickly, and a million phones
// that start at once are answered by the caches.
const CacheControl = "public, max-age=30, stale-if-error=300"

// A Handler serves the document, true for the moment. One of a file is looked at
// for every request, and read when it is another one: noren puts a new file in
// the place of the old. While it cannot be read, or is no document, what was
// known last is served, since a status that is a moment old is better than none;
// once it is taken away there is none, and apps go on without.
// Use [NewHandler] or [NewHandlerOf].
type Handler struct {
	path string // "": Set brings the document
	now  func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	seen   os.FileInfo
	raw    []byte
	doc    *Document // nil: raw is of a newer format, and goes out as it is
	failed string    // said in the log already
}

// NewHandler serves the document in the file at path. The logger may be nil.
func NewHandler(path string, now func() time.Time, log *slog.Logger) *Handler {
	h := NewHandlerOf(now, log)
	h.path = path
	return h
}

// NewHandlerOf serves the document that was given to [Handler.Set] last.
func NewHandlerOf(now func() time.Time, log *slog.Logger) *Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Handler{now: now, log: log}
}

// Set gives the handler another document; nil takes it away.
func (h *Handler) Set(raw []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if raw == nil {
		h.raw, h.doc = nil, nil
		return
	}
	h.take(raw, nil, nil)
}

// ServeHTTP answers with the document: 200, or 304 to If-None-Match; 404 while
// there has never been one. Scripts of every origin may read it. It is for GET,
// HEAD and a CORS preflight.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Access-Control-Expose-Headers", "ETag")
	head.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		head.Set("Access-Control-Allow-Methods", "GET, HEAD")
		head.Set("Access-Control-Allow-Headers", "If-None-Match")
		head.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		head.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "the status document can only be read", http.StatusMethodNotAllowed)
		return
	}
	body := h.body()
	if body == nil {
		head.Set("Cache-Control", "no-store")
		http.Error(w, "there is no status document yet", http.StatusNotFound)
		return
	}
	sum := sha256.Sum256(body)
	head.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	head.Set("Content-Type", "application/json")
	head.Set("Cache-Control", CacheControl)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// body is the document as it is true now, nil if there is none.
func (h *Handler) body() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.path != "" {
		h.refresh()
	}
	if h.doc == nil {
		return h.raw
	}
	at, changed := h.doc.At(h.now())
	if !changed {
		return h.raw
	}
	body, err := at.JSON()
	if err != nil {
		h.say(err)
		return h.raw
	}
	return body
}

// refresh reads the file again if it is another one. The caller holds mu.
func (h *Handler) refresh() {
	info, err := os.Stat(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		h.seen, h.raw, h.doc = nil, nil, nil
		return
	}
	if err == nil && h.seen != nil && os.SameFile(info, h.seen) && info.ModTime().Equal(h.seen.ModTime()) && info.Size() == h.seen.Size() {
		return
	}
	var raw []byte
	if err == nil {
		raw, err = ReadFile(h.path)
	}
	h.take(raw, info, err)
}

// take makes what was read the document, if it is one. The caller holds mu.
func (h *Handler) take(raw []byte, info os.FileInfo, err error) {
	var doc *Document
	if err == nil {
		doc, err = Parse(raw)
	}
	switch {
	case errors.Is(err, ErrNewer): // of a noren that knows more than this server
		h.seen, h.raw, h.doc = info, raw, nil
	case err != nil:
		h.say(err)
		return
	default:
		h.seen, h.raw, h.doc = info, raw, doc
	}
	h.failed = ""
}

// say logs a failure once.
func (h *Handler) say(err error) {
	if err.Error() == h.failed {
		return
	}
	h.failed = err.Error()
	h.log.Error("status document cannot be served", "file", h.path, "error", err)
}

// ReadFile reads a file of at most MaxSize bytes.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(raw) > MaxSize {
		err = errors.New("the file is larger than a status document can be")
	}
	return raw, err
}
