// Package cloudwatch is a CloudWatch for tests: it answers with the alarms and
// metrics that a test gives it, and keeps alarm mute rules, in the wire format of
// today's SDK (Smithy RPC v2 with CBOR), which moto does not speak. Requests for
// other services go on to another server.
package cloudwatch

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// An Alarm is one that fires above a threshold, or a composite one.
type Alarm struct {
	Name, Namespace, Metric string
	Threshold               float64
	// Period is in seconds; Periods is how many are evaluated, of which
	// Datapoints have to be above (0: all).
	Period, Periods, Datapoints int
	Below                       bool // it fires below the threshold

	// Rule makes it a composite one: ALARM("other"). Log makes it one of logs.
	Rule string
	Log  bool
	// Rings is set where it is in state ALARM, Disabled where its actions are
	// switched off.
	Rings, Disabled bool
	Actions         []string
}

// A Server is a CloudWatch.
type Server struct {
	// Endpoint takes the place of that of all services.
	Endpoint string

	mu     sync.Mutex
	alarms []Alarm
	series map[string][]float64
	denied bool
	asked  []string
	rules  map[string]*rule
	most   int // rules
	now    func() time.Time
	hurry  bool
	other  http.Handler
}

// New is a CloudWatch, and hands requests for other services on.
func New(other http.Handler) *Server {
	return &Server{series: map[string][]float64{}, rules: map[string]*rule{}, most: 1000, now: time.Now, other: other}
}

// ServeHTTP answers as CloudWatch does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, ok := strings.Cut(r.URL.Path, "/service/GraniteServiceVersion20100801/operation/")
	if !ok {
		s.other.ServeHTTP(w, r)
		return
	}
	s.serve(w, r, operation)
}

// Start puts a CloudWatch in front of the server at next.
func Start(t testing.TB, next string) *Server {
	t.Helper()
	to, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	s := New(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}})
	server := httptest.NewServer(s)
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
	out, refused := s.perform(operation, m)
	status := http.StatusOK
	if refused != nil {
		status, out = refused.status, cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + refused.code), "message": cbor.String(refused.message)}
	}
	w.Header().Set("smithy-protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	w.WriteHeader(status)
	_, _ = w.Write(cbor.Encode(out))
}

func (s *Server) perform(operation string, in cbor.Map) (cbor.Map, *refusal) {
	if s.denied {
		return nil, &refusal{http.StatusForbidden, "AccessDeniedException",
			"User: arn:aws:iam::123456789012:user/night is not authorized to perform: cloudwatch:" + operation + " because no identity-based policy allows the cloudwatch:" + operation + " action"}
	}
	switch operation {
	case "DescribeAlarms":
		return s.describe(in)
	case "GetMetricData":
		return s.data(in), nil
	case "PutAlarmMuteRule":
		return cbor.Map{}, s.putRule(in)
	case "GetAlarmMuteRule":
		return s.getRule(in)
	case "ListAlarmMuteRules":
		return s.listRules(in)
	case "TagResource":
		return cbor.Map{}, s.tagResource(in)
	case "ListTagsForResource":
		return s.listTags(in)
	case "DeleteAlarmMuteRule":
		s.deleteRule(in)
		return cbor.Map{}, nil
	}
	return nil, &refusal{http.StatusBadRequest, "UnknownOperation", operation}
}

// describe answers with alarms of metrics alone, unless others are asked for.
func (s *Server) describe(in cbor.Map) (cbor.Map, *refusal) {
	if bad := known(in, "AlarmNames", "AlarmNamePrefix", "AlarmTypes", "MaxRecords", "NextToken"); bad != nil {
		return nil, bad
	}
	names, kinds, prefix := texts(in, "AlarmNames"), texts(in, "AlarmTypes"), text(in, "AlarmNamePrefix")
	if len(names) > 100 || len(names) > 0 && prefix != "" {
		return nil, invalid("%d names and prefix %q", len(names), prefix)
	}
	if len(kinds) == 0 {
		kinds = []string{"MetricAlarm"}
	}
	out := cbor.Map{}
	for _, a := range s.alarms {
		wanted := len(names) == 0 && strings.HasPrefix(a.Name, prefix) || slices.Contains(names, a.Name)
		if !wanted || !slices.Contains(kinds, a.kind()) {
			continue
		}
		list, _ := out[a.kind()+"s"].(cbor.List)
		out[a.kind()+"s"] = append(list, a.shown())
	}
	return out, nil
}

func (a Alarm) kind() string {
	switch {
	case a.Rule != "":
		return "CompositeAlarm"
	case a.Log:
		return "LogAlarm"
	}
	return "MetricAlarm"
}

// Ring lets an alarm be in state ALARM, or no longer.
func (s *Server) Ring(name string, rings bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.alarms {
		if s.alarms[i].Name == name {
			s.alarms[i].Rings = rings
		}
	}
}

func (a Alarm) state() cbor.Map {
	state := "OK"
	if a.Rings {
		state = "ALARM"
	}
	var actions cbor.List
	for _, arn := range a.Actions {
		actions = append(actions, cbor.String(arn))
	}
	return cbor.Map{"AlarmName": cbor.String(a.Name), "StateValue": cbor.String(state), "StateTransitionedTimestamp": when(time.Now().Add(-time.Minute)),
		"ActionsEnabled": cbor.Bool(!a.Disabled), "AlarmActions": actions}
}

func (a Alarm) shown() cbor.Map {
	m := a.state()
	if a.Rule != "" {
		m["AlarmRule"] = cbor.String(a.Rule)
	}
	if a.Metric == "" {
		return m
	}
	operator := "GreaterThanThreshold"
	if a.Below {
		operator = "LessThanThreshold"
	}
	maps.Copy(m, cbor.Map{"Namespace": cbor.String(a.Namespace), "MetricName": cbor.String(a.Metric), "Statistic": cbor.String("Average"),
		"ComparisonOperator": cbor.String(operator), "Threshold": cbor.Float64(a.Threshold), "Period": cbor.Uint(a.Period), "EvaluationPeriods": cbor.Uint(a.Periods)})
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
