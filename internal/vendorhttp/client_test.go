package vendorhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

const key = "a-key-of-a-vendor"

// client calls a server that answers as told.
func client(t *testing.T, serve http.HandlerFunc) *vendorhttp.Client {
	t.Helper()
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	t.Setenv("VENDOR_KEY", " "+key+"\n")
	c, err := vendorhttp.New(vendorhttp.Options{System: "Vendor", Base: s.URL, Keys: map[string]vendorhttp.Secret{"X-Key": {Prefix: "Token ", Key: vendorhttp.Access{}.Key("VENDOR_KEY")}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		header string
		code   fault.Code
		words  string
	}{
		{401, `{"errors":["no such key ` + key + `"]}`, "", fault.Denied, "no such key •••"},
		{403, `{"error":{"message":"may not"}}`, "", fault.Denied, "may not"},
		{404, `{"message":"gone"}`, "", fault.NotFound, "gone"},
		{400, `{"errors":[{"title":"Bad","detail":"end has passed"}]}`, "", fault.Invalid, "end has passed"},
		{422, "plain words", "", fault.Invalid, "plain words"},
		{429, `{}`, "7", fault.Unavailable, "429"},
		{420, `{}`, "", fault.Unavailable, "420"},
		{500, "<html>oh</html>", "", fault.Unavailable, "a page of HTML"},
		{302, "", "", fault.Invalid, "sends elsewhere"},
		{200, "<html>log in</html>", "", fault.Invalid, "something else than its JSON"},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			cl := client(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Key") != "Token "+key {
					t.Errorf("key %q", r.Header.Get("X-Key"))
				}
				w.Header().Set("Location", "https://elsewhere.example/")
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			var into map[string]any
			err := cl.Call(t.Context(), vendorhttp.Request{Method: http.MethodGet, Path: "/x", What: "a mute"}, &into)
			var f *fault.Fault
			if !errors.As(err, &f) || f.Code != c.code || !strings.Contains(f.Detail, c.words) || !strings.Contains(f.Detail, "a mute") {
				t.Fatalf("%#v", err)
			}
			if strings.Contains(fmt.Sprintf("%+v %v", f, errors.Unwrap(f)), key) {
				t.Errorf("the key is shown: %v", err)
			}
			if got := errors.Is(err, action.ErrUnavailable); got != (c.code == fault.Unavailable) {
				t.Errorf("tried again: %v", got)
			}
			var later driver.Later
			if c.header != "" && (!errors.As(err, &later) || later.RetryAfter() != 7*time.Second) {
				t.Errorf("asked to wait: %v", later)
			}
		})
	}
}

// TestNoAnswer may be tried again, unless whoever asked has gone.
func TestNoAnswer(t *testing.T) {
	c := client(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if err := c.Call(t.Context(), vendorhttp.Request{Method: http.MethodPost, Body: struct{}{}, What: "a mute"}, nil); !errors.Is(err, action.ErrUnavailable) {
		t.Errorf("a lost answer: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.Call(gone, vendorhttp.Request{Method: http.MethodGet, What: "a mute"}, nil)
	if !errors.Is(err, context.Canceled) || errors.Is(err, action.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (vendorhttp.Key{File: file}).Read("Vendor"); err != nil || got != key {
		t.Errorf("%q %v", got, err)
	}
	if got, err := (vendorhttp.Key{}).Read("Vendor"); err != nil || got != "" {
		t.Errorf("no key: %q %v", got, err)
	}
	if err := os.WriteFile(file, []byte("two\nlines"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, k := range map[string]vendorhttp.Key{"holds more than the one line": {File: file}, "cannot read it": {File: filepath.Join(dir, "none")},
		"variable NOT_SET is empty": {Env: "NOT_SET"}} {
		if _, err := k.Read("Vendor"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", k, err, want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for base, ok := range map[string]bool{"https://api.example": true, "http://127.0.0.1:9093": true, "http://localhost": true,
		"http://api.example": false, "api.example": false, "https://me:secret@api.example": false, "https://api.example?key=x": false} {
		err := vendorhttp.CheckURL("url", base, true)
		if (err == nil) != ok {
			t.Errorf("%s: %v", base, err)
		}
		if err != nil && strings.Contains(err.Error(), "me:secret") {
			t.Errorf("a secret is shown: %v", err)
		}
	}
	if err := vendorhttp.CheckURL("url", "http://alertmanager:9093", false); err != nil {
		t.Errorf("without a key: %v", err)
	}
}
