// Package strict is an AWS in this process, for what moto does not enforce: it
// speaks the wire format of a few services, keeps to their limits, and behaves as
// AWS is documented to behave where that matters to noren. Tasks come and go
// one at each look, Application Auto Scaling moves counts into its range, tags
// are checked, and callers may have expired credentials or lack rights.
//
// What it does is written from the API references named at each part, not
// recorded from AWS.
package strict

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	// Region is where a server plays to be unless it is told otherwise.
	Region = "us-east-1"
	// Account is the only account of it.
	Account = "123456789012"
	// ExpiredKey is an access key whose session has ended.
	ExpiredKey = "ASIAEXPIRED"
	// mostTags, longestKey and longestValue bound tags. Source:
	// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
	mostTags     = 50
	longestKey   = 128
	longestValue = 256
)

// A Server is the account. Its methods are safe for concurrent use.
type Server struct {
	// Endpoint is the address of every service.
	Endpoint string
	// Region is where it is. It is set before anything is added.
	Region string

	mu      sync.Mutex
	ecs     map[string]*Service // by cluster/service
	targets map[string]*Target  // by resource id
	sources map[string]*Source  // by UUID
	denied  map[string]bool     // "ecs:UpdateService"
	calls   map[string]int      // by the same
	writes  int
	lose    bool
	expire  int // after this many writes, 0: never
}

// New is a server without an address.
func New() *Server {
	return &Server{Region: Region, ecs: map[string]*Service{}, targets: map[string]*Target{}, sources: map[string]*Source{}, denied: map[string]bool{}, calls: map[string]int{}}
}

// Start runs a server for this test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.Endpoint = server.URL
	return s
}

// Section is the section aws of an environment that is this server, as YAML.
func (s *Server) Section() string {
	return fmt.Sprintf("{region: %s, endpoint: %q}", s.Region, s.Endpoint)
}

// Deny takes a right away from every caller: "ecs:UpdateService".
func (s *Server) Deny(right string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[right] = true
}

// LoseNextAnswer lets the next write be carried out, and its answer be lost.
func (s *Server) LoseNextAnswer(testing.TB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = true
}

// ExpireAfter lets the credentials of every caller expire once so many more writes
// were carried out; 0 makes them good again.
func (s *Server) ExpireAfter(writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire = 0
	if writes > 0 {
		s.expire = s.writes + writes
	}
}

// expired tells whether a caller's credentials are no longer good.
func (s *Server) expired(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Authorization"), ExpiredKey) || s.expire > 0 && s.writes >= s.expire
}

// Writes counts the writes that were carried out.
func (s *Server) Writes(testing.TB) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Calls counts the requests by the right that they need, since the server began.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Edit changes the account as a colleague would.
func (s *Server) Edit(change func(*Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	change(s)
}

// Snapshot is all that was set up, as text: what runs of it is not part of it.
func (s *Server) Snapshot() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, err := json.MarshalIndent(map[string]any{"ecs": s.ecs, "targets": s.targets, "sources": s.sources}, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// A refusal is an error as AWS answers it.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

func refuse(code, format string, args ...any) error {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

// An operation answers one request. Its input and answer are JSON objects.
type operation struct {
	writes bool
	do     func(s *Server, in json.RawMessage) (any, error)
}

// with makes an operation of a function with a typed input.
func with[I any](writes bool, do func(s *Server, in I) (any, error)) operation {
	return operation{writes, func(s *Server, raw json.RawMessage) (any, error) {
		var in I
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, refuse("SerializationException", "%v", err)
		}
		return do(s, in)
	}}
}

// services are those spoken in JSON 1.1, by the prefix of the header X-Amz-Target:
// the name that rights begin with, and operations. Source:
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
func services() map[string]struct {
	right      string
	operations map[string]operation
} {
	return map[string]struct {
		right      string
		operations map[string]operation
	}{
		"AmazonEC2ContainerServiceV20141113": {"ecs", ecsOperations()},
		"AnyScaleFrontendService":            {"application-autoscaling", scalingOperations()},
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(r.URL.Path, "/20"): // a date, which is the version of Lambda's API
		s.rest(w, r, body)
		return
	case target == "" && r.Method == http.MethodGet: // another service of REST, which nobody may ask
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		writeJSON(w, nil, &refusal{http.StatusForbidden, "AccessDeniedException", "User: arn:aws:iam::" + Account + ":user/night is not authorized to perform this"})
		return
	case target == "":
		s.query(w, r, string(body))
		return
	}
	prefix, name, _ := strings.Cut(target, ".")
	service := services()[prefix]
	answer, lost, err := s.perform(r, service.right, name, service.operations[name], body)
	if lost {
		cut(w)
		return
	}
	writeJSON(w, answer, err)
}

// perform carries an operation out, if the caller may.
func (s *Server) perform(r *http.Request, service, name string, op operation, in json.RawMessage) (answer any, lost bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	right := service + ":" + name
	s.calls[right]++
	switch {
	case s.expired(r):
		return nil, false, refuse("ExpiredTokenException", "The security token included in the request is expired")
	case s.denied[right], op.do == nil: // what it does not know, nobody may
		return nil, false, refuse("AccessDeniedException",
			"User: arn:aws:iam::%s:user/night is not authorized to perform: %s on resource: * because no identity-based policy allows the %s action", Account, right, right)
	}
	answer, err = op.do(s, in)
	if err == nil && op.writes {
		s.writes++
		lost, s.lose = s.lose, false
	}
	return answer, lost, err
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func writeJSON(w http.ResponseWriter, answer any, err error) {
	status := http.StatusOK
	if r, ok := err.(*refusal); ok { //nolint:errorlint // it is made here
		status, answer = r.status, map[string]string{"__type": r.code, "message": r.message}
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(err.Error())
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// query answers the one question in the query protocol that it knows: who is
// this? Nobody may ask others.
func (s *Server) query(w http.ResponseWriter, r *http.Request, body string) {
	w.Header().Set("Content-Type", "text/xml")
	s.mu.Lock()
	expired := s.expired(r)
	s.mu.Unlock()
	if expired {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>`)
		return
	}
	if !strings.Contains(body, "Action=GetCallerIdentity") {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::%s:user/night is not authorized to perform this</Message></Error></ErrorResponse>`, Account)
		return
	}
	fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::%[1]s:user/night</Arn><UserId>AIDA</UserId><Account>%[1]s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, Account)
}

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// setTags adds tags to those of a thing, within AWS's limits.
func setTags(have, more map[string]string) error {
	for k, v := range more {
		switch {
		case k == "" || len(k) > longestKey || len(v) > longestValue || !tagText.MatchString(k+v):
			return refuse("InvalidParameterException", "The tag %q is not valid", k)
		case strings.HasPrefix(k, "aws:"):
			return refuse("InvalidParameterException", "aws: prefixed tag key names are not allowed")
		}
	}
	all := maps.Clone(have)
	maps.Copy(all, more)
	if len(all) > mostTags {
		return refuse("InvalidParameterException", "The maximum number of tags is %d", mostTags)
	}
	maps.Copy(have, more)
	return nil
}

// sorted are the members of a map in the order of their keys.
func sorted[T any](m map[string]T) []T {
	var all []T
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[k])
	}
	return all
}
