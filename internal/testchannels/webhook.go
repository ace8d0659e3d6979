package testchannels

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Webhook is a receiver of signed CloudEvents. It takes each event once, by its
// source and id, and answers 2xx to one that it has had.
type Webhook struct {
	Ledger
	Secret string // whsec_…
	Now    func() time.Time
	// Tolerance is how far from now an event may have been sent.
	Tolerance time.Duration
	seen      map[string]bool
}

// ServeHTTP takes an event. Its line is the type, the id, the status of the run
// and the text; that of one that comes again begins with "again".
func (w *Webhook) ServeHTTP(res http.ResponseWriter, req *http.Request) {
	if w.isDown() {
		http.Error(res, "down", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = w.verify(req, body)
	}
	if err != nil {
		w.Wrong("%v", err)
		http.Error(res, err.Error(), http.StatusBadRequest)
		return
	}
	var e struct {
		ID, Source, Type string
		Data             struct {
			Text string
			Run  struct{ Status, Title string }
		}
	}
	_ = json.Unmarshal(body, &e) // verified
	key := e.Source + " " + e.ID
	again := ""
	w.mu.Lock()
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	if w.seen[key] {
		again = "again "
	}
	w.seen[key] = true
	w.mu.Unlock()
	w.Took("%s%s %s %s %q", again, e.Type, e.ID, e.Data.Run.Status, e.Data.Text)
	res.WriteHeader(http.StatusNoContent)
}

func (w *Webhook) verify(req *http.Request, body []byte) error {
	if req.Method != http.MethodPost || !strings.HasPrefix(req.Header.Get("Content-Type"), "application/cloudevents+json") {
		return fmt.Errorf("%s of %q is no event in structured mode", req.Method, req.Header.Get("Content-Type"))
	}
	id, at := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if age := w.Now().Sub(time.Unix(seconds, 0)).Abs(); err != nil || age > w.Tolerance {
		return fmt.Errorf("timestamp %q is too old or new", at)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(w.Secret, "whsec_"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !hmac.Equal([]byte(want), []byte(req.Header.Get("webhook-signature"))) {
		return fmt.Errorf("signature %q is wrong", req.Header.Get("webhook-signature"))
	}
	return wellFormed(id, body)
}

// wellFormed checks what CloudEvents 1.0 asks of an event.
// Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
func wellFormed(id string, body []byte) error {
	var e map[string]any
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	for _, name := range []string{"specversion", "id", "source", "type", "time", "subject"} {
		if s, ok := e[name].(string); !ok || s == "" {
			return fmt.Errorf("attribute %s is missing or empty", name)
		}
	}
	for name := range e {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return fmt.Errorf("attribute name %q", name)
		}
	}
	if e["specversion"] != "1.0" || e["id"] != id {
		return fmt.Errorf("specversion %v, id %v, webhook-id %s", e["specversion"], e["id"], id)
	}
	if _, err := url.Parse(e["source"].(string)); err != nil {
		return err
	}
	_, err := time.Parse(time.RFC3339, e["time"].(string))
	return err
}
