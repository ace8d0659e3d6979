package ecsshop

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// A Bucket is how many requests of one kind AWS takes: so many at once after a
// pause, and so many a second.
type Bucket struct {
	Service string // as in rights: "ecs"
	Writes  bool
	Burst   int
	Rate    rate.Limit
}

// Buckets are AWS's, as far as it documents them. Sources:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html
// (reads), kubernetes-sigs/aws-load-balancer-controller pkg/aws/throttle/defaults.go
// (what the AWS Load Balancer Controller allows itself, for writes),
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html.
// Application Auto Scaling's are not documented: 10 a second is assumed.
func Buckets() []Bucket {
	return []Bucket{
		{"elasticloadbalancing", false, 40, 10}, {"elasticloadbalancing", true, 40, 10},
		{"ecs", false, 100, 20}, {"ecs", true, 50, 5},
		{"application-autoscaling", false, 20, 10}, {"application-autoscaling", true, 20, 10},
	}
}

// Taken is how many requests a bucket let through and how many it refused.
type Taken struct {
	Bucket
	Done, Refused int
}

// Seconds is how long the bucket makes those that it let through take, at best.
func (t Taken) Seconds() float64 {
	return max(0, float64(t.Done-t.Burst)/float64(t.Rate))
}

type limits struct {
	mu  sync.Mutex
	all []*limit
}

type limit struct {
	Taken

	tokens *rate.Limiter
}

// Limit enforces buckets from now on, full, and counts.
func (s *Shop) Limit(buckets []Bucket) {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	s.limits.all = nil
	for _, b := range buckets {
		s.limits.all = append(s.limits.all, &limit{Taken{Bucket: b}, rate.NewLimiter(b.Rate, b.Burst)})
	}
}

// Taken is what each bucket did since Limit.
func (s *Shop) Taken() []Taken {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	var all []Taken
	for _, l := range s.limits.all {
		all = append(all, l.Taken)
	}
	return all
}

// refused answers a request for which there is no token, as its protocol does.
func (l *limits) refused(w http.ResponseWriter, r *http.Request) bool {
	service, call := "elasticloadbalancing", r.FormValue("Action")
	target, name, isJSON := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if isJSON {
		service, call = "ecs", name
		if target == "AnyScaleFrontendService" {
			service = "application-autoscaling"
		}
	}
	if !isJSON && r.FormValue("Version") != "2015-12-01" {
		return false // another service's
	}
	writes := !strings.HasPrefix(call, "Describe") && !strings.HasPrefix(call, "List") && !strings.HasPrefix(call, "Get")
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		if one.Service != service || one.Writes != writes || call == "GetCallerIdentity" {
			continue
		}
		if one.tokens.Allow() {
			one.Done++
			return false
		}
		one.Refused++
		if isJSON {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type": "ThrottlingException", "message": "Rate exceeded"}`)
			return true
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`)
		return true
	}
	return false
}
