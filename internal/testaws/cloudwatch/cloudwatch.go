// Package cloudwatch is a recorded CloudWatch: it answers with the alarms and
// metrics that a test gives it, in the wire format of today's SDK (Smithy RPC v2
// with CBOR), which moto does not speak. Requests for other services go on to
// another server.
package cloudwatch

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// An Alarm is one that fires above a threshold.
type Alarm struct {
	Name, Namespace, Metric string
	Threshold               float64
	// Period is in seconds; Periods is how many are evaluated, of which
	// Datapoints have to be above (0: all).
	Period, Periods, Datapoints int
	Below                       bool // it fires below the threshold
}

// A Server is a recorded CloudWatch.
type Server struct {
	// Endpoint takes the place of that of all services.
	Endpoint string

	mu     sync.Mutex
	alarms []Alarm
	series map[string][]float64
	denied bool
	asked  []string
}

// Start puts a recorded CloudWatch in front of the server at next.
func Start(t testing.TB, next string) *Server {
	t.Helper()
	to, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{series: map[string][]float64{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, ok := strings.Cut(r.URL.Path, "/service/GraniteServiceVersion20100801/operation/")
		if !ok {
			proxy.ServeHTTP(w, r)
			return
		}
		s.serve(w, r, operation)
	}))
	t.Cleanup(server.Close)
	s.Endpoint = server.URL
	return s
}

// Record gives the server an alarm.
func (s *Server) Record(a Alarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = append(s.alarms, a)
}

// Measure gives the server the points of a metric, oldest first; the last is of
// now.
func (s *Server) Measure(metric string, points ...float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.series[metric] = points
}

// Deny takes the right to read away.
func (s *Server) Deny() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = true
}

// Asked are the operations that were asked for.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, operation)
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("smithy-protocol") != "rpc-v2-cbor" {
		http.Error(w, "not in RPC v2 CBOR", http.StatusBadRequest)
		return
	}
	in, err := cbor.Decode(body)
	m, ok := in.(cbor.Map)
	if err != nil || !ok {
		http.Error(w, "no CBOR map", http.StatusBadRequest)
		return
	}
	status := http.StatusOK
	var out cbor.Map
	switch {
	case s.denied:
		status = http.StatusForbidden
		out = cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#AccessDeniedException"),
			"message": cbor.String("User: arn:aws:iam::123456789012:user/night is not authorized to perform: cloudwatch:" + operation + " because no identity-based policy allows the cloudwatch:" + operation + " action")}
	case operation == "DescribeAlarms":
		out = s.describe(m)
	case operation == "GetMetricData":
		out = s.data(m)
	default:
		status, out = http.StatusBadRequest, cbor.Map{"__type": cbor.String("UnknownOperation"), "message": cbor.String(operation)}
	}
	w.Header().Set("smithy-protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	w.WriteHeader(status)
	_, _ = w.Write(cbor.Encode(out))
}

func (s *Server) describe(in cbor.Map) cbor.Map {
	var list cbor.List
	names, _ := in["AlarmNames"].(cbor.List)
	for _, a := range s.alarms {
		for _, name := range names {
			if name == cbor.String(a.Name) {
				list = append(list, a.shown())
			}
		}
	}
	return cbor.Map{"MetricAlarms": list}
}

func (a Alarm) shown() cbor.Map {
	operator := "GreaterThanThreshold"
	if a.Below {
		operator = "LessThanThreshold"
	}
	m := cbor.Map{"AlarmName": cbor.String(a.Name), "Namespace": cbor.String(a.Namespace), "MetricName": cbor.String(a.Metric), "Statistic": cbor.String("Average"),
		"ComparisonOperator": cbor.String(operator), "Threshold": cbor.Float64(a.Threshold), "Period": cbor.Uint(a.Period), "EvaluationPeriods": cbor.Uint(a.Periods)}
	if a.Datapoints > 0 {
		m["DatapointsToAlarm"] = cbor.Uint(a.Datapoints)
	}
	return m
}

// data answers each query with the points of its metric.
func (s *Server) data(in cbor.Map) cbor.Map {
	var results cbor.List
	end, err := cbor.AsTime(in["EndTime"])
	if err != nil {
		end = time.Now()
	}
	queries, _ := in["MetricDataQueries"].(cbor.List)
	for _, q := range queries {
		query, _ := q.(cbor.Map)
		stat, _ := query["MetricStat"].(cbor.Map)
		metric, _ := stat["Metric"].(cbor.Map)
		name, _ := metric["MetricName"].(cbor.String)
		period, err := cbor.AsInt64(stat["Period"])
		if err != nil {
			period = 60
		}
		var times, values cbor.List
		points := s.series[string(name)]
		for i, v := range points {
			at := end.Add(-time.Duration(len(points)-1-i) * time.Duration(period) * time.Second)
			times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(float64(at.Unix()))})
			values = append(values, cbor.Float64(v))
		}
		results = append(results, cbor.Map{"Id": query["Id"], "Timestamps": times, "Values": values, "StatusCode": cbor.String("Complete")})
	}
	return cbor.Map{"MetricDataResults": results}
}
