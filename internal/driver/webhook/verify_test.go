package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// verify tells whether a request is noren's and new enough.
func verify(secret string, h http.Header, body []byte, now time.Time) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	sent, notNumber := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || notNumber != nil || now.Sub(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(want), []byte(h.Get("webhook-signature")))
}

// TestDocumentedVerification runs the receiver of the how-to.
func TestDocumentedVerification(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("verify_test.go")
	if err != nil {
		t.Fatal(err)
	}
	howTo, err := os.ReadFile("../../../docs/how-to/tell-people.md")
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, _ := strings.Cut(string(howTo), "```go\n")
	snippet, _, _ = strings.Cut(snippet, "```")
	if snippet == "" || !strings.Contains(string(source), snippet) {
		t.Error("the how-to shows other code than this")
	}
	var good, forged, old bool
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		good = verify(secret, r.Header, body, time.Now())
		forged = verify(secret, r.Header, append(body, ' '), time.Now())
		old = verify(secret, r.Header, body, time.Now().Add(time.Hour))
	}))
	t.Cleanup(server.Close)
	upto := int64(0)
	if err := session(t, server.URL).Hear(t.Context(), "webhook", hearing(&upto)); err != nil {
		t.Fatal(err)
	}
	if !good || forged || old {
		t.Errorf("good %t, forged %t, old %t; want true, false, false", good, forged, old)
	}
}
