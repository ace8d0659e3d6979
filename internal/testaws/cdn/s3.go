package cdn

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// bucket answers S3. Source:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html,
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (s *Server) bucket(w http.ResponseWriter, r *http.Request, body []byte, expired bool) {
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if ref := s.admitted(r, name, expired); ref != nil {
		refuseS3(w, ref)
		return
	}
	arn := "arn:aws:s3:::" + name
	switch {
	case r.Method == http.MethodGet && s.denied["s3:GetObject"]:
		refuseS3(w, s.deniedTo("s3:GetObject", arn+"/"+key))
	case r.Method == http.MethodGet && s.objects[key] == nil && s.denied["s3:ListBucket"]:
		refuseS3(w, s.deniedTo("s3:ListBucket", arn))
	case r.Method == http.MethodGet && s.objects[key] == nil:
		refuseS3(w, &refusal{http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", nil})
	case r.Method == http.MethodGet:
		s.objects[key].send(w)
	case r.Method != http.MethodPut:
		refuseS3(w, &refusal{http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.", nil})
	default:
		s.put(w, r, key, arn, body)
	}
}

// admitted refuses who may not speak of the bucket at all.
func (s *Server) admitted(r *http.Request, name string, expired bool) *refusal {
	switch owner := r.Header.Get("X-Amz-Expected-Bucket-Owner"); {
	case expired:
		return &refusal{http.StatusBadRequest, "ExpiredToken", "The provided token has expired.", nil}
	case name != Bucket:
		return &refusal{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist", nil}
	case !strings.Contains(r.Header.Get("Authorization"), "/"+s.region+"/s3/"):
		return &refusal{http.StatusMovedPermanently, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
			http.Header{"X-Amz-Bucket-Region": {s.region}}}
	case owner != "" && owner != s.owner:
		return &refusal{http.StatusForbidden, "AccessDenied", "Access Denied", nil}
	}
	return nil
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, key, arn string, body []byte) {
	have := s.objects[key]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	var ref *refusal
	switch {
	case s.denied["s3:PutObject"]:
		ref = s.deniedTo("s3:PutObject", arn+"/"+key)
	case match == "" && none == "":
		ref = &refusal{http.StatusBadRequest, "WrittenWithoutCondition", "This server takes no write without a condition.", nil}
	case match != "" && have == nil:
		ref = &refusal{http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", nil}
	case match != "" && match != have.ETag, none == "*" && have != nil:
		ref = &refusal{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", nil}
	case s.disabledKey:
		ref = &refusal{http.StatusBadRequest, "KMS.DisabledException", "The request was rejected because the specified CMK is disabled.", nil}
	case s.denied["kms:GenerateDataKey"] && r.Header.Get("X-Amz-Server-Side-Encryption") == "aws:kms":
		ref = s.deniedTo("kms:GenerateDataKey", "arn:aws:kms:"+Region+":"+Account+":key/1")
	}
	if ref != nil {
		refuseS3(w, ref)
		return
	}
	s.writing(w, "PutObject "+key, func() {
		s.objects[key] = newObject(body, r.Header)
		if strings.HasSuffix(key, ".marks") {
			s.answerPut(w, key)
			return
		}
		s.writes++
		if s.lose {
			s.lose = false
			drop(w)
			return
		}
		s.answerPut(w, key)
	})
}

func (s *Server) answerPut(w http.ResponseWriter, key string) {
	if s.cut {
		drop(w)
		return
	}
	w.Header().Set("ETag", s.objects[key].ETag)
}

func refuseS3(w http.ResponseWriter, ref *refusal) {
	for k, v := range ref.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(ref.status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, ref.code, text(ref.message))
}

// send answers with an object, with what was said of it.
func (o *Object) send(w http.ResponseWriter) {
	for k, v := range o.Header {
		if k == "Content-Type" || k == "Cache-Control" || strings.HasPrefix(k, "X-Amz-Meta-") {
			w.Header()[k] = v
		}
	}
	w.Header().Set("ETag", o.ETag)
	w.Header().Set("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
	_, _ = w.Write(o.Data)
}

// visit is a customer at the distribution, which serves what it kept, and keeps
// what it had to ask the bucket for until it is told to forget it.
func (s *Server) visit(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept[r.URL.Path]
	if kept == nil {
		o := s.objects[strings.TrimPrefix(r.URL.Path, "/")]
		if s.blind || o == nil || o.sealed { // S3 tells a distribution that may not list no more
			refuseS3(w, &refusal{http.StatusForbidden, "AccessDenied", "Access Denied", nil})
			return
		}
		kept = o
		s.kept[r.URL.Path] = o
		w.Header().Set("X-Cache", "Miss from cloudfront")
	} else {
		w.Header().Set("X-Cache", "Hit from cloudfront")
	}
	kept.send(w)
}

// Visit is what a customer gets at a path.
func (s *Server) Visit(t testing.TB, path string) (status int, body string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	s.visit(w, r)
	return w.Code, w.Body.String()
}
