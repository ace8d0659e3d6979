package testmonitors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Key is what the vendors' APIs let in.
const Key = "the-key-that-nobody-may-see"

// A Fake plays a vendor's API. It refuses what the vendor would refuse, as far as
// the vendor has written it down: see each Fake's source.
type Fake struct {
	http.Handler
	mu       sync.Mutex
	made     int
	throttle int
	// Now is the time there.
	Now func() time.Time
	// IsRead tells which requests only read, nil for those of GET; see Count.
	IsRead func(method, path string, body []byte) bool
	// standing is what mutes now, and colleague adds a mute of somebody else's, for
	// hours to come. The caller holds mu.
	standing  func() []any
	colleague func(until time.Time)
}

// Colleague adds a mute that is none of noren's.
func (f *Fake) Colleague() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.colleague(f.Now().Add(9 * time.Hour).UTC().Truncate(time.Minute))
}

// Standing is what mutes now, each as the API would give it, in order.
func (f *Fake) Standing() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, x := range f.standing() {
		raw, err := json.Marshal(x)
		if err != nil {
			raw = []byte(err.Error())
		}
		all = append(all, string(raw))
	}
	slices.Sort(all)
	return all
}

// some is a list that is none rather than null.
func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// those are the items of a list that pass.
func those[T any](all []T, pass func(T) bool) []any {
	var out []any
	for _, x := range all {
		if pass(x) {
			out = append(out, x)
		}
	}
	return out
}

// Throttle lets the next n requests be refused as too many.
func (f *Fake) Throttle(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.throttle = n
}

// id makes a name that was not given before. The caller holds mu.
func (f *Fake) id(form string) string {
	f.made++
	return fmt.Sprintf(form, f.made)
}

// guarded lets requests in that are not throttled and whose headers are as wanted.
func (f *Fake) guarded(mux http.Handler, headers map[string]string, refuse func(w http.ResponseWriter, status int, text string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.throttle > 0 {
			f.throttle--
			w.Header().Set("Retry-After", "0")
			refuse(w, http.StatusTooManyRequests, "Rate limit exceeded")
			return
		}
		for name, want := range headers {
			if got := r.Header.Get(name); got != want {
				// As some do, it says what it was sent.
				refuse(w, http.StatusUnauthorized, fmt.Sprintf("not allowed with %s %q", name, got))
				return
			}
		}
		if r.Method != http.MethodGet && r.Method != http.MethodDelete && r.Header.Get("Content-Type") != "application/json" {
			refuse(w, http.StatusUnsupportedMediaType, "Content-Type is "+r.Header.Get("Content-Type"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// strictly decodes a body and refuses keys that the vendor does not know.
func strictly(body io.Reader, into any) error {
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(raw)) // the client may have gone
}

// window is one page of n items, at most so many whatever is asked for.
func window(r *http.Request, offset, limit string, most, n int) (from, to int) {
	number := func(name string, usual int) int {
		if v, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil && v >= 0 {
			return v
		}
		return usual
	}
	from = min(number(offset, 0), n)
	return from, min(from+min(number(limit, most), most), n)
}
