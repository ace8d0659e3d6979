package lambda

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/strict"
	"github.com/noren-dev/noren/internal/testaws/wire"
)

const id = "0a1b2c3d-0000-4000-8000-000000000001"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func connect(t testing.TB) (*awsclient.Conn, *strict.Server) {
	t.Helper()
	testaws.Isolate(t)
	s := strict.Start(t)
	s.AddSource(id, strict.Source{Function: "orders", Queue: "orders-queue", Enabled: true, Tags: map[string]string{"team": "cart"}})
	return testaws.Connect(t, s.Endpoint), s
}

// TestSourceKeepsTheContract is for aws/lambda-source.disable. A source has two
// states: a colleague meddles by deleting it. Moto knows neither tags of sources
// nor states between.
func TestSourceKeepsTheContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		c, s := connect(t)
		change, err := openSource(c, SourceParams{id})
		must(t, err)
		in := driver.Bare(change)
		return actiontest.Target{
			Name: "event source " + id, Change: in.Change, Marked: in.Marker.Marked,
			Mark:   func(t testing.TB) *action.Mark { return testaws.Mark(t, s.Source(id).Tags) },
			Meddle: func(testing.TB) { s.DeleteSource(id) },
			MeddleBeside: func(testing.TB) {
				s.Edit(func(s *strict.Server) { s.Feeding(id).Tags["team"] = "checkout" })
			},
			Beside:         func(testing.TB) string { return s.Source(id).Tags["team"] },
			LoseNextAnswer: s.LoseNextAnswer, Writes: s.Writes,
		}
	}})
}

// TestSourceSettles: disabled is what Lambda says is disabled, not what was asked.
// A change in between is one to try again.
func TestSourceSettles(t *testing.T) {
	c, s := connect(t)
	change, err := openSource(c, SourceParams{id})
	must(t, err)
	must(t, change.Apply(t.Context(), &Feeding{true}, &Feeding{false}))
	s.Edit(func(s *strict.Server) { s.Feeding(id).Stick() })
	if err := change.(*source).Write(t.Context(), &Feeding{false}, &Feeding{true}); !errors.Is(err, action.ErrUnavailable) {
		t.Errorf("a source on its way: %v", err)
	}
	w := change.(driver.TypedWaiter[Feeding])
	v, err := w.Settled(t.Context(), &Feeding{false})
	must(t, err)
	if v.OK || !strings.Contains(v.Summary, "Disabling") {
		t.Errorf("%+v", v)
	}
	if v, err = w.Settled(t.Context(), &Feeding{false}); err != nil || !v.OK {
		t.Errorf("%+v %v", v, err)
	}
}

// TestSourceIsFound: by UUID, by the names of function and queue, and not when
// there are two of them.
func TestSourceIsFound(t *testing.T) {
	c, s := connect(t)
	s.AddSource("0a1b2c3d-0000-4000-8000-000000000002", strict.Source{Function: "mail", Queue: "q", Enabled: true})
	s.AddSource("0a1b2c3d-0000-4000-8000-000000000003", strict.Source{Function: "mail", Queue: "q"})
	for name, c2 := range map[string]struct {
		code fault.Code
		says string
	}{
		id:                    {"", id},
		"orders/orders-queue": {"", id},
		"orders/orders-quue":  {fault.NotFound, "Did you mean orders/orders-queue?"},
		"order/orders-queue":  {fault.NotFound, "Did you mean orders/orders-queue?"},
		"mail/q":              {fault.Invalid, "Name the one by its UUID: 0a1b2c3d-0000-4000-8000-000000000002, 0a1b2c3d"},
		"orders":              {fault.Invalid, "function/source"},
		strings.Replace(id, "000000000001", "000000000009", 1): {fault.NotFound, "Did you mean 0a1b2c3d"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := openSourceWorkload(c, name, driver.NoOptions{})
			var r *driver.Resting
			if err == nil {
				r, err = w.Rest(t.Context())
			}
			if c2.code == "" {
				must(t, err)
				if r.Target != "aws:test/lambda-source/"+c2.says || len(r.Calls) != 1 {
					t.Errorf("%+v", r)
				}
				return
			}
			if !errors.Is(err, &fault.Fault{Code: c2.code}) || !strings.Contains(fmt.Sprint(err), c2.says) {
				t.Errorf("%v, want %q", err, c2.says)
			}
		})
	}
}

func TestNamesInARNs(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:sqs:us-east-1:123456789012:orders":                                               "orders",
		"arn:aws:kinesis:us-east-1:123456789012:stream/clicks":                                    "clicks",
		"arn:aws:dynamodb:us-east-1:123456789012:table/carts/stream/2026-01-02T03:04:05.678":      "carts",
		"arn:aws:kafka:us-east-1:123456789012:cluster/bus/0a1b2c3d-0000-4000-8000-000000000001-1": "bus",
	} {
		if got := sourceName(arn); got != want {
			t.Errorf("%s: %s, want %s", arn, got, want)
		}
	}
	if got := functionName("arn:aws:lambda:us-east-1:123456789012:function:orders:live"); got != "orders" {
		t.Error(got)
	}
}

// A world is a moto server with functions.
type world struct {
	moto   *testaws.Server
	direct *client
	role   string
	n      int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	moto := testaws.Start(t)
	return &world{moto: moto, direct: clientOf(testaws.Connect(t, moto.Endpoint)), role: moto.Role(t, "fn")}
}

func (w *world) function(t testing.TB, reserved *int32) string {
	t.Helper()
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	f, err := z.Create("index.py")
	must(t, err)
	_, err = f.Write([]byte("def handler(e, c): pass\n"))
	must(t, err)
	must(t, z.Close())
	w.n++
	name := fmt.Sprintf("orders%d", w.n)
	_, err = w.direct.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{FunctionName: aws.String(name), Role: aws.String(w.role), Runtime: types.RuntimePython312,
		Handler: aws.String("index.handler"), Code: &types.FunctionCode{ZipFile: code.Bytes()}, Tags: map[string]string{"team": "cart"}})
	must(t, err)
	if reserved != nil {
		_, err := w.direct.lambda.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String(name), ReservedConcurrentExecutions: reserved})
		must(t, err)
	}
	return name
}

// TestThrottleKeepsTheContract is for aws/lambda.throttle, with a number reserved
// before and with none.
func TestThrottleKeepsTheContract(t *testing.T) {
	w := newWorld(t)
	for name, reserved := range map[string]*int32{"none reserved": nil, "five reserved": aws.Int32(5)} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				function, wr := w.function(t, reserved), wire.New(t, w.moto.Endpoint)
				change, err := openThrottle(testaws.Connect(t, wr.Endpoint), FunctionParams{function})
				must(t, err)
				in := driver.Bare(change)
				tags := func(t testing.TB) map[string]string {
					all, err := functionTags{&throttle{client: w.direct, p: FunctionParams{function}}}.Tags(t.Context())
					must(t, err)
					return all
				}
				return actiontest.Target{
					Name: "Lambda function " + function, Change: in.Change, Marked: in.Marker.Marked,
					Mark: func(t testing.TB) *action.Mark { return testaws.Mark(t, tags(t)) },
					Meddle: func(t testing.TB) {
						_, err := w.direct.lambda.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String(function), ReservedConcurrentExecutions: aws.Int32(7)})
						must(t, err)
					},
					MeddleBeside: func(t testing.TB) {
						_, err := w.direct.lambda.TagResource(t.Context(), &lambda.TagResourceInput{Resource: aws.String("arn:aws:lambda:us-east-1:" + testaws.Account + ":function:" + function), Tags: map[string]string{"team": "checkout"}})
						must(t, err)
					},
					Beside:         func(t testing.TB) string { return tags(t)["team"] },
					LoseNextAnswer: wr.LoseNextAnswer, Writes: wr.Writes,
				}
			}})
		})
	}
}

// TestFunctionRests: what is said of a function, and of one that is not there.
func TestFunctionRests(t *testing.T) {
	w := newWorld(t)
	function := w.function(t, nil)
	rest := func(name string) (*driver.Resting, error) {
		opened, err := openFunctionWorkload(testaws.Connect(t, w.moto.Endpoint), name, driver.NoOptions{})
		must(t, err)
		return opened.Rest(t.Context())
	}
	r, err := rest(function)
	must(t, err)
	if len(r.Calls) != 1 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Text, "gets 429") {
		t.Errorf("%+v", r)
	}
	if _, err := rest("ordres1"); !errors.Is(err, &fault.Fault{Code: fault.NotFound}) || !strings.Contains(err.Error(), "Did you mean orders1?") {
		t.Errorf("%v", err)
	}
	if _, err := openFunctionWorkload(testaws.Connect(t, w.moto.Endpoint), "orders:live", driver.NoOptions{}); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("a version: %v", err)
	}
}

// TestTraces: a disabled source without a mark, and a function that may not run,
// are told of, and are nobody's for sure.
func TestTraces(t *testing.T) {
	c, s := connect(t)
	s.AddSource("0a1b2c3d-0000-4000-8000-000000000002", strict.Source{Function: "mail", Queue: "q"})
	found, err := FindTraces(t.Context(), c)
	must(t, err)
	if len(found.Unmarked) != 1 || found.Unmarked[0].Ours || !strings.Contains(found.Unmarked[0].What, "mail/q gets nothing") || len(found.Marks) != 0 {
		t.Errorf("%+v", found)
	}
	w := newWorld(t)
	function := w.function(t, aws.Int32(0))
	found, err = FindTraces(t.Context(), testaws.Connect(t, w.moto.Endpoint))
	must(t, err)
	if len(found.Unmarked) != 1 || found.Unmarked[0].Target != "aws:test/lambda/"+function {
		t.Errorf("%+v", found)
	}
	s.Deny("lambda:ListEventSourceMappings")
	found, err = FindTraces(t.Context(), c)
	if err != nil || len(found.Unseen) != 1 {
		t.Errorf("%+v %v", found, err)
	}
}

// TestFunctionIsBusy: while a function is deployed Lambda takes no change, which is
// one to try again. Moto never is, so that the answer is one of AWS's reference.
func TestFunctionIsBusy(t *testing.T) {
	testaws.Isolate(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", "ResourceConflictException")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"Type":"User","message":"The operation cannot be performed at this time. An update is in progress for resource: orders"}`)
	}))
	t.Cleanup(server.Close)
	f := &throttle{client: clientOf(testaws.Connect(t, server.URL)), p: FunctionParams{"orders"}}
	for _, to := range []*Concurrency{{aws.Int32(0)}, {}} {
		if err := f.Write(t.Context(), &Concurrency{}, to); !errors.Is(err, action.ErrUnavailable) || !strings.Contains(err.Error(), "at work on something else") {
			t.Errorf("%v", err)
		}
	}
}
