// Package rights is a way to a server of AWS's services that knows IAM: it lets
// through what a policy grants, and answers everything else as AWS does.
//
// Which action and which resource a request is about is written from AWS's
// service authorization reference, as far as noren makes the request. A request
// that is not known is refused.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
package rights

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
)

const (
	account = "123456789012"
	caller  = "arn:aws:iam::" + account + ":user/night"
)

// A Need is an action on a resource: "ecs:UpdateService" on an ARN. Where AWS
// knows no resource for the action it is "*".
type Need struct{ Action, Resource string }

func (n Need) String() string { return n.Action + " on " + n.Resource }

// A Gate is a proxy in front of one server.
type Gate struct {
	// Endpoint takes the place of the server's.
	Endpoint string

	mu      sync.Mutex
	grants  []grant
	denied  []Need
	asked   map[Need]int
	refused []Need
}

// A grant is a statement of a policy.
type grant struct{ actions, resources []string }

// New puts a gate in front of the server at endpoint. It lets everything through
// until it is given a policy.
func New(t testing.TB, endpoint string) *Gate { return Split(t, endpoint, endpoint) }

// Split puts a gate in front of two servers: one for services that are spoken to
// in AWS's query protocol, such as Elastic Load Balancing, one for all others.
func Split(t testing.TB, queries, others string) *Gate {
	t.Helper()
	g := &Gate{}
	server := httptest.NewServer(g.handler(way(t, queries), way(t, others)))
	t.Cleanup(server.Close)
	g.Endpoint = server.URL
	return g
}

// way is a proxy to a server. It opens a connection for each request, so that a
// server that cuts one off takes no other along.
func way(t testing.TB, endpoint string) http.Handler {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{DisableKeepAlives: true},
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) {
			if conn, _, err := http.NewResponseController(rw).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
	}
}

func (g *Gate) handler(queries, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		spoken, needs := needsOf(r, body)
		for _, n := range needs {
			if !g.allows(n) {
				refuse(w, spoken, n)
				return
			}
		}
		if spoken == query {
			queries.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// Grant lets through from now on what an IAM policy allows, and nothing else.
func (g *Gate) Grant(t testing.TB, policy string) {
	t.Helper()
	var document struct {
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		t.Fatalf("rights: %v in the policy\n%s", err, policy)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grants, g.asked, g.refused = []grant{}, map[Need]int{}, nil
	for _, s := range document.Statement {
		if s.Effect != "Allow" {
			t.Fatalf("rights: a statement with effect %q", s.Effect)
		}
		g.grants = append(g.grants, grant{s.Action, s.Resource})
	}
}

// Deny refuses an action on the resources that a pattern names, as an explicit
// denial does, whatever is granted.
func (g *Gate) Deny(action, resource string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denied = append(g.denied, Need{action, resource})
}

// Asked are the actions that were needed since the policy was given, each once,
// in order.
func (g *Gate) Asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for n := range g.asked {
		if !slices.Contains(all, n.Action) {
			all = append(all, n.Action)
		}
	}
	slices.Sort(all)
	return all
}

// Refused are the needs that the policy did not cover.
func (g *Gate) Refused() []Need {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.refused)
}

func (g *Gate) allows(n Need) bool {
	if n.Action == "sts:GetCallerIdentity" { // needs no right
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = map[Need]int{}
	}
	g.asked[n]++
	granted := g.grants == nil || slices.ContainsFunc(g.grants, func(s grant) bool {
		return matches(s.actions, n.Action) && matches(s.resources, n.Resource)
	})
	if slices.ContainsFunc(g.denied, func(d Need) bool { return d.Action == n.Action && matches([]string{d.Resource}, n.Resource) }) {
		return false
	}
	if !granted {
		g.refused = append(g.refused, n)
	}
	return granted
}

// matches tells whether one of the patterns of a policy fits.
func matches(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		p = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(p))
		return regexp.MustCompile("^" + p + "$").MatchString(text)
	})
}

// refuse answers that a right is missing, in the protocol that was spoken.
func refuse(w http.ResponseWriter, spoken protocol, n Need) {
	message := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %[2]s action", caller, n.Action, n.Resource)
	code := "AccessDeniedException"
	switch spoken {
	case query:
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		var escaped strings.Builder
		_ = xml.EscapeText(&escaped, []byte(message))
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>`, escaped.String())
	case rpcCBOR:
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("smithy-protocol", "rpc-v2-cbor")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + code), "message": cbor.String(message)}))
	default:
		raw, _ := json.Marshal(map[string]string{"__type": code, "message": message}) // texts
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(raw)
	}
}
