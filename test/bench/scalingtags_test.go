package bench

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// withScalingTags puts in front of moto what it lacks and noren and terraform ask
// for: the tags of scalable targets. Everything else goes on to it.
func withScalingTags(t testing.TB, endpoint string) string {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	moto := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	var mu sync.Mutex
	tags := map[string]map[string]string{} // by ARN
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AnyScaleFrontendService.")
		if !ours || !strings.HasSuffix(name, "Resource") {
			moto.ServeHTTP(w, r)
			return
		}
		var in struct {
			ResourceARN string
			Tags        map[string]string
			TagKeys     []string
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if tags[in.ResourceARN] == nil {
			tags[in.ResourceARN] = map[string]string{}
		}
		maps.Copy(tags[in.ResourceARN], in.Tags)
		for _, key := range in.TagKeys {
			delete(tags[in.ResourceARN], key)
		}
		answer := map[string]any{}
		if name == "ListTagsForResource" {
			answer["Tags"] = tags[in.ResourceARN]
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
