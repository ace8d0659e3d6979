// Package cdn is an S3 with a CloudFront in front of it, in this process, for what
// moto does not enforce: conditions of writes with their refusals, owners and
// regions of buckets, rights, keys of KMS, invalidations that are one for each
// caller reference and take their time, and a place from which customers read that
// keeps what it has until it is invalidated.
//
// What it does is written from the API references named at each part, not recorded
// from AWS.
package cdn

import (
	"crypto/md5" //nolint:gosec // it is what an ETag is
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// Region is where buckets are unless [Server.MoveBucket] says otherwise.
	Region = "us-east-1"
	// Account is the caller's.
	Account = "123456789012"
	// Bucket is there from the start.
	Bucket = "example-status"
	// Distribution serves it.
	Distribution = "E2QWRUHAPOMQZL"
	// ExpiredKey is an access key whose session has ended.
	ExpiredKey = "ASIAEXPIRED"

	who = "arn:aws:iam::" + Account + ":user/night"
)

// An Object is one of the bucket.
type Object struct {
	Data   []byte
	Header http.Header // what was said of it when it was written
	ETag   string

	sealed   bool // with a key that neither the public nor a distribution may use
	modified time.Time
}

// A Server is all of it. Its methods are safe for concurrent use.
type Server struct {
	// Endpoint is the address of AWS's services, and URL that of the distribution,
	// to which a key is appended.
	Endpoint, URL string

	mu            sync.Mutex
	objects       map[string]*Object
	owner, region string
	denied        map[string]bool // "s3:PutObject"
	terse         bool            // refusals do not say what is missing
	blind         bool            // the distribution may not read the bucket
	disabledKey   bool
	crowded       int // how many invalidations are refused yet
	slow          int // how many looks an invalidation takes
	deaf          bool
	kept          map[string]*Object // by path, as the distribution serves it
	invalidations map[string]*invalidation
	made          int

	writes int // of the document
	calls  []string
	lose   bool
	dead   int // calls that write until the caller is cut off; 0: never
	before bool
	cut    bool
}

// Start runs a server for this test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	t.Cleanup(s.Serve())
	return s
}

// New makes a server that nobody reaches before [Server.Serve].
func New() *Server {
	return &Server{objects: map[string]*Object{}, owner: Account, region: Region, denied: map[string]bool{}, kept: map[string]*Object{}, invalidations: map[string]*invalidation{}}
}

// Serve runs it until stop is called.
func (s *Server) Serve() (stop func()) {
	api, front := httptest.NewServer(http.HandlerFunc(s.api)), httptest.NewServer(http.HandlerFunc(s.visit))
	s.Endpoint, s.URL = api.URL, front.URL
	return func() { api.Close(); front.Close() }
}

func (s *Server) edit(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Deny takes a right away from the caller: "s3:PutObject"; Grant gives it back.
func (s *Server) Deny(right string) { s.edit(func() { s.denied[right] = true }) }

// Grant gives a right back.
func (s *Server) Grant(right string) { s.edit(func() { delete(s.denied, right) }) }

// BeTerse lets refusals say no more than "Access Denied".
func (s *Server) BeTerse() { s.edit(func() { s.terse = true }) }

// SellBucket gives the bucket to another account, whose policy lets all in.
func (s *Server) SellBucket() { s.edit(func() { s.owner = "999999999999" }) }

// MoveBucket says in which region the bucket is.
func (s *Server) MoveBucket(region string) { s.edit(func() { s.region = region }) }

// Blind takes the distribution's right to read the bucket away, or gives it back.
func (s *Server) Blind(blind bool) { s.edit(func() { s.blind = blind }) }

// DisableKey disables the bucket's key of KMS.
func (s *Server) DisableKey() { s.edit(func() { s.disabledKey = true }) }

// Crowd refuses the next n invalidations as too many.
func (s *Server) Crowd(n int) { s.edit(func() { s.crowded = n }) }

// Slow lets invalidations take n looks; Deaf lets none be carried out.
func (s *Server) Slow(n int) { s.edit(func() { s.slow = n }) }

// Deaf lets invalidations have no effect on what is kept.
func (s *Server) Deaf(deaf bool) { s.edit(func() { s.deaf = deaf }) }

// LoseNextAnswer lets the next write of the document be carried out, and its
// answer be lost.
func (s *Server) LoseNextAnswer(testing.TB) { s.edit(func() { s.lose = true }) }

// KillAt cuts the caller off at its nth call that writes, before it is carried out
// or after: nothing of what it asks from then on is heard, until [Server.Revive].
// It tells of each such call in Calls.
func (s *Server) KillAt(n int, before bool) {
	s.edit(func() { s.dead, s.before, s.cut, s.calls = n, before, false, nil })
}

// Revive lets a caller be heard again, and tells whether one was cut off.
func (s *Server) Revive() (wasCut bool) {
	s.edit(func() { wasCut, s.cut, s.dead = s.cut, false, 0 })
	return wasCut
}

// Writes counts the writes of the document that were carried out.
func (s *Server) Writes(testing.TB) (n int) {
	s.edit(func() { n = s.writes })
	return n
}

// Calls lists the calls that write, in their order.
func (s *Server) Calls() (all []string) {
	s.edit(func() { all = append(all, s.calls...) })
	return all
}

// Invalidations counts those that were made.
func (s *Server) Invalidations() (n int) {
	s.edit(func() { n = s.made })
	return n
}

// Object returns an object of the bucket, nil if there is none.
func (s *Server) Object(key string) (o *Object) {
	s.edit(func() { o = s.objects[key] })
	return o
}

// Put writes an object as a colleague does.
func (s *Server) Put(key string, data []byte) {
	s.edit(func() { s.writes++; s.objects[key] = newObject(data, http.Header{}) })
}

func newObject(data []byte, h http.Header) *Object {
	sum := md5.Sum(data) //nolint:gosec // it is what an ETag is
	return &Object{Data: data, Header: maps.Clone(h), ETag: `"` + hex.EncodeToString(sum[:]) + `"`, modified: time.Now(),
		sealed: h.Get("X-Amz-Server-Side-Encryption") == "aws:kms"}
}

// A refusal is an error as AWS answers it.
type refusal struct {
	status  int
	code    string
	message string
	header  http.Header
}

func (s *Server) deniedTo(right, resource string) *refusal {
	message := fmt.Sprintf(`User: %s is not authorized to perform: %s on resource: "%s" because no identity-based policy allows the %s action`, who, right, resource, right)
	if s.terse {
		message = "Access Denied"
	}
	return &refusal{http.StatusForbidden, "AccessDenied", message, nil}
}

// api answers AWS's services: STS by POST to the root, CloudFront under its
// version, and else S3 with the bucket in the path.
func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<22))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		drop(w)
		return
	}
	expired := strings.Contains(r.Header.Get("Authorization"), ExpiredKey)
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/":
		s.sts(w, expired)
	case strings.HasPrefix(r.URL.Path, "/2020-05-31/"):
		s.cloudfront(w, r, body, expired)
	default:
		s.bucket(w, r, body, expired)
	}
}

func (s *Server) sts(w http.ResponseWriter, expired bool) {
	w.Header().Set("Content-Type", "text/xml")
	if expired {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>`)
		return
	}
	fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>%s</Arn><UserId>AIDA</UserId><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, who, Account)
}

// writing carries a call that writes out, unless the caller dies at it.
func (s *Server) writing(w http.ResponseWriter, call string, do func()) {
	s.calls = append(s.calls, call)
	dies := len(s.calls) == s.dead
	if dies && s.before {
		s.cut = true
		drop(w)
		return
	}
	if !dies {
		do()
		return
	}
	s.cut = true // the answer is not heard
	do()
}

// drop ends the connection without an answer.
func drop(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func text(v string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(v))
	return b.String()
}
