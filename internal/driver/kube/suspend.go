package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

func cronJobs() resource {
	return resource{"cronjob", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}}
}

const suspendPath = "spec.suspend"

// SuspendParams are the parameters of kube/cronjob.suspend.
type SuspendParams struct{ object }

// suspend is the change kube/cronjob.suspend.
type suspend struct{ *fields }

func openSuspend(c *conn, p SuspendParams) (driver.Typed[Fields], error) {
	return &suspend{&fields{conn: c, resource: cronJobs(), object: p.object, set: map[string]any{suspendPath: true}}}, nil
}

// Marked implements driver.TypedMarker.
func (s *suspend) Marked(m action.Mark) driver.Typed[Fields] { return &suspend{s.marked(m)} }

// Requires implements action.Requirer.
func (s *suspend) Requires() []action.Permission {
	return s.requires("suspend it for the work, and resume it")
}

// Describe implements driver.TypedDescriber.
func (s *suspend) Describe(from, to *Fields) action.Description {
	line := "let " + s.name() + " begin Jobs again"
	if to != nil && string((*to)[suspendPath]) == "true" {
		line = "suspend " + s.name() + ": it begins no more Jobs"
	}
	return s.describe(from, to, line)
}

// Settled: no Job of it is running. Suspending begins no new ones and leaves
// those under way alone. Source:
// https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-suspension
func (s *suspend) Settled(ctx context.Context, want *Fields) (action.Verdict, error) {
	u, err := s.read(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	if u == nil {
		return action.Verdict{Summary: s.name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	if string((*want)[suspendPath]) != "true" {
		return action.Verdict{OK: true, Summary: s.name() + " begins Jobs again"}, nil
	}
	v := action.Verdict{OK: true, Summary: "no Job of " + s.name() + " is running"}
	active, _, _ := unstructured.NestedSlice(u.Object, "status", "active")
	for _, a := range active {
		job, _ := a.(map[string]any)
		v.OK = false
		v.Findings = append(v.Findings, fmt.Sprintf("Job %v is still running", job["name"]))
	}
	if !v.OK {
		v.Summary = fmt.Sprintf("%s is suspended, and its Jobs go on to their end", s.name())
		v.Try = []string{fmt.Sprintf("kubectl -n %s get jobs", s.object.Namespace)}
	}
	return v, nil
}
