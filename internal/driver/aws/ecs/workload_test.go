package ecs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/strict"
)

func rest(t testing.TB, s *strict.Server, name string, to int32) (*driver.Resting, error) {
	t.Helper()
	w, err := openWorkload(testaws.Connect(t, s.Endpoint), name, WorkloadOptions{to})
	if err != nil {
		return nil, err
	}
	return w.Rest(t.Context())
}

func calls(r *driver.Resting) string {
	var names []string
	for _, c := range r.Calls {
		names = append(names, c.Action)
	}
	return strings.Join(names, " ")
}

func notes(r *driver.Resting) string {
	var b strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "%v %s\n", n.Warn, n.Text)
	}
	return b.String()
}

// TestRest: what is proposed for each state of a service, and what the reader of
// the plan is told.
func TestRest(t *testing.T) {
	const both, scaleOnly = "aws/autoscaling.suspend aws/ecs.scale", "aws/ecs.scale"
	for name, c := range map[string]struct {
		service strict.Service
		target  *strict.Target
		to      int32
		calls   string
		says    []string
	}{
		"scaled":             {strict.Service{Desired: 3}, &strict.Target{Min: 1, Max: 4}, 0, both, nil},
		"not scaled":         {strict.Service{Desired: 3}, nil, 0, scaleOnly, nil},
		"at none already":    {strict.Service{}, nil, 0, scaleOnly, []string{"false ECS service shop/x has 0 tasks already"}},
		"at none, scaled":    {strict.Service{}, &strict.Target{Min: 1, Max: 4}, 0, scaleOnly, []string{"true ECS service shop/x has 0 tasks, below the 1"}},
		"at none in range":   {strict.Service{}, &strict.Target{Max: 4}, 0, both, []string{"false ECS service shop/x has 0 tasks already"}},
		"suspended already":  {strict.Service{Desired: 3}, &strict.Target{Min: 1, Max: 4, In: true, Out: true, Scheduled: true}, 0, scaleOnly, []string{"suspended already and stays so"}},
		"by the clock":       {strict.Service{Desired: 3}, &strict.Target{Min: 1, Max: 4, Schedules: map[string]string{"night": "cron(0 2 * * ? *)"}}, 0, both, []string{"true ECS service shop/x has scheduled scaling (night cron(0 2 * * ? *))"}},
		"clock is suspended": {strict.Service{Desired: 3}, &strict.Target{Min: 1, Max: 4, Scheduled: true, Schedules: map[string]string{"night": "x"}}, 0, both, nil},
		"more than now":      {strict.Service{Desired: 1}, nil, 2, scaleOnly, []string{"true ECS service shop/x has 1 task and rests with 2"}},
		"deployment":         {strict.Service{Desired: 3, Deploying: true}, nil, 0, scaleOnly, []string{"true A deployment of ECS service shop/x is under way"}},
		"blue/green":         {strict.Service{Desired: 3, Deploying: true, Strategy: "BLUE_GREEN"}, nil, 0, scaleOnly, []string{"true A BLUE_GREEN deployment"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := connect(t)
			c.service.Cluster, c.service.Name = "shop", "x"
			s.AddService(c.service)
			if c.target != nil {
				s.AddTarget("shop/x", *c.target)
			}
			r, err := rest(t, s, "shop/x", c.to)
			must(t, err)
			if got := calls(r); got != c.calls {
				t.Errorf("calls %q, want %q", got, c.calls)
			}
			for _, words := range c.says {
				if !strings.Contains(notes(r), words) {
					t.Errorf("notes do not say %q:\n%s", words, notes(r))
				}
			}
			if c.says == nil && len(r.Notes) > 0 {
				t.Errorf("notes without need:\n%s", notes(r))
			}
		})
	}
}

// TestRestRefuses: what cannot come to rest, and why.
func TestRestRefuses(t *testing.T) {
	_, s := connect(t)
	s.AddService(strict.Service{Cluster: "shop", Name: "agent", Daemon: true})
	s.AddService(strict.Service{Cluster: "shop", Name: "raised", Desired: 7})
	s.AddTarget("shop/raised", strict.Target{Min: 1, Max: 4})
	for name, c := range map[string]struct {
		code fault.Code
		says string
	}{
		"shop/agent":  {fault.Invalid, "DAEMON"},
		"shop/raised": {fault.CheckFailed, "makes AWS scale it to 4 at once"},
		"shop/wep":    {fault.NotFound, "Did you mean shop/web?"},
		"shpo/web":    {fault.NotFound, "There is no ECS cluster shpo in us-east-1, which is environment test. Did you mean shop?"},
		"web":         {fault.Invalid, "want cluster/service"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rest(t, s, name, 0)
			if !errors.Is(err, &fault.Fault{Code: c.code}) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("got %v, want %s with %q", err, c.code, c.says)
			}
		})
	}
	if n := s.Writes(t); n != 0 {
		t.Errorf("planning wrote %d times", n)
	}
}

// TestResumeBeforeTheCountIsBack: to resume autoscaling while the service rests
// would start its tasks, so it is refused, and nothing is written.
func TestResumeBeforeTheCountIsBack(t *testing.T) {
	c, s := connect(t)
	change, err := openSuspend(c, SuspendParams{web})
	must(t, err)
	from, err := change.Observe(t.Context())
	must(t, err)
	to, err := change.Propose(from)
	must(t, err)
	must(t, change.Apply(t.Context(), from, to))
	s.Edit(func(s *strict.Server) { s.ECS("shop/web").Desired = 0 })
	before := s.Writes(t)
	if err := change.Apply(t.Context(), to, from); !errors.Is(err, &fault.Fault{Code: fault.CheckFailed}) {
		t.Errorf("resumed at 0 tasks: %v", err)
	}
	if svc, _ := s.Service("shop/web"); svc.Desired != 0 || s.Writes(t) != before {
		t.Errorf("it wrote: %d tasks", svc.Desired)
	}
	if s.Alarm("shop/web") {
		t.Error("an alarm started tasks though autoscaling is suspended")
	}
}

// TestSettles: a service is at rest when its last task has stopped, and not
// when its count says 0; and it works when all run.
func TestSettles(t *testing.T) {
	c, s := connect(t)
	change, err := openScale(c, ScaleParams{web, 0})
	must(t, err)
	w := change.(driver.TypedWaiter[Count])
	for _, to := range []int32{0, 3} {
		s.Edit(func(s *strict.Server) { s.ECS("shop/web").Desired = to })
		v, err := w.Settled(t.Context(), &Count{to})
		must(t, err)
		if v.OK || len(v.Findings) != 0 || len(v.Try) == 0 { // that it was steady before is no news
			t.Errorf("%+v: it cannot be at %d yet", v, to)
		}
		if said := map[int32]string{0: " still runs 3 tasks, and shall run 0", 3: " runs 0 of 3 tasks, 3 on the way up"}[to]; !strings.HasSuffix(v.Summary, said) {
			t.Errorf("%q: want %q at the end", v.Summary, said)
		}
		for range 4 {
			v, err = w.Settled(t.Context(), &Count{to})
			must(t, err)
		}
		if !v.OK {
			t.Errorf("%+v: it is at %d", v, to)
		}
	}
}

// TestManyServicesInFewCalls: 35 services are read ten at a time.
func TestManyServicesInFewCalls(t *testing.T) {
	c, s := connect(t)
	const n = 35
	for i := range n {
		s.AddService(strict.Service{Cluster: "shop", Name: fmt.Sprintf("s%02d", i), Desired: 1})
		s.AddTarget(fmt.Sprintf("shop/s%02d", i), strict.Target{Min: 1, Max: 2})
	}
	ctx := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: n})
	each := func(f func(ctx context.Context, i int) error) {
		t.Helper()
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				if err := f(ctx, i); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	var opened [n]driver.Workload
	for i := range n {
		w, err := openWorkload(c, fmt.Sprintf("shop/s%02d", i), WorkloadOptions{})
		must(t, err)
		opened[i] = w
	}
	each(func(ctx context.Context, i int) error {
		r, err := opened[i].Rest(ctx)
		if err == nil && len(r.Calls) != 2 {
			err = fmt.Errorf("%d calls", len(r.Calls))
		}
		return err
	})
	got := s.Calls()
	if got["ecs:DescribeServices"] != 4 || got["application-autoscaling:DescribeScalableTargets"] != 1 || got["application-autoscaling:DescribeScheduledActions"] != 1 {
		t.Errorf("requests for %d services: %v", n, got)
	}
	// Later looks are answered by what was read after the batch began.
	each(func(ctx context.Context, i int) error {
		s, err := openScale(c, ScaleParams{key{"shop", fmt.Sprintf("s%02d", i)}, 0})
		if err != nil {
			return err
		}
		_, err = s.Observe(ctx)
		return err
	})
	if again := s.Calls()["ecs:DescribeServices"]; again != got["ecs:DescribeServices"] {
		t.Errorf("%d further requests for what had been read", again-got["ecs:DescribeServices"])
	}
}

// TestBadCredentials: who may not is told what is missing, or what to renew.
func TestBadCredentials(t *testing.T) {
	_, s := connect(t)
	s.Deny("ecs:DescribeServices")
	_, err := rest(t, s, "shop/web", 0)
	if !errors.Is(err, &fault.Fault{Code: fault.Denied}) || !strings.Contains(fmt.Sprintf("%v %v", err, fault.Of(err)[0].Try), "ecs:DescribeServices") {
		t.Errorf("%v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", strict.ExpiredKey)
	_, err = rest(t, s, "shop/web", 0)
	if !errors.Is(err, &fault.Fault{Code: fault.Denied}) || !strings.Contains(fmt.Sprint(err), "expired") {
		t.Errorf("%v", err)
	}
}

// TestNoRoomForTags: a mark that does not fit is refused before anything is
// written.
func TestNoRoomForTags(t *testing.T) {
	c, s := connect(t)
	s.AddService(strict.Service{Cluster: "shop", Name: "old", Desired: 1, OldARN: true})
	tags := map[string]string{}
	for i := range 49 {
		tags[fmt.Sprint("k", i)] = "v"
	}
	s.AddService(strict.Service{Cluster: "shop", Name: "full", Desired: 1, Tags: tags})
	for name, says := range map[string]string{"old": "ARN of the old form", "full": "50"} {
		change, err := openScale(c, ScaleParams{key{"shop", name}, 0})
		must(t, err)
		in := driver.Bare(change)
		from, err := in.Change.Observe(t.Context())
		must(t, err)
		if err := in.Marker.Fits(t.Context(), aMark(t, from)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
}

// TestTraces: marks are found on services and on what scales them; a service that
// somebody left at rest without one is told of, and one that is just at none is
// not.
func TestTraces(t *testing.T) {
	c, s := connect(t)
	s.AddService(strict.Service{Cluster: "shop", Name: "left"})
	s.AddTarget("shop/left", strict.Target{Min: 1, Max: 4, In: true, Out: true, Scheduled: true})
	s.AddService(strict.Service{Cluster: "shop", Name: "idle"})
	for _, open := range []func() *driver.Instance{
		func() *driver.Instance { ch, _ := openSuspend(c, SuspendParams{web}); return driver.Bare(ch) },
		func() *driver.Instance { ch, _ := openScale(c, ScaleParams{web, 0}); return driver.Bare(ch) },
	} {
		in := open()
		from, err := in.Change.Observe(t.Context())
		must(t, err)
		to, err := in.Change.Propose(from)
		must(t, err)
		m := aMark(t, from)
		m.Receipt.To, m.Receipt.Target = to, in.Target
		must(t, in.Marker.Marked(m).Apply(t.Context(), from, to))
	}
	found, err := FindTraces(t.Context(), c)
	must(t, err)
	var on []string
	for _, m := range found.Marks {
		on = append(on, m.On+m.Wrong)
	}
	if got := strings.Join(on, " "); got != "aws:test/ecs/shop/web aws:test/autoscaling/shop/web" {
		t.Errorf("marks on %s", got)
	}
	if len(found.Unmarked) != 1 || found.Unmarked[0].Target != "aws:test/ecs/shop/left" || found.Unmarked[0].Ours || len(found.Unmarked[0].Advice) != 3 {
		t.Errorf("unmarked: %+v", found.Unmarked)
	}
	s.Deny("ecs:ListClusters")
	if found, err = FindTraces(t.Context(), c); err != nil || len(found.Unseen) != 1 {
		t.Errorf("%+v %v", found, err)
	}
}
