package strict

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// A Target is a scalable target of Application Auto Scaling, for an ECS service.
type Target struct {
	Min, Max int32
	// In, Out and Scheduled tell what is suspended.
	In, Out, Scheduled bool
	// Schedules are scheduled actions: name and expression.
	Schedules map[string]string
	Tags      map[string]string
}

// AddTarget lets a service, "cluster/service", be scaled.
func (s *Server) AddTarget(service string, t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Tags == nil {
		t.Tags = map[string]string{}
	}
	s.targets["service/"+service] = &t
}

// Target returns what scales a service as it is now.
func (s *Server) Target(service string) Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.targets["service/"+service]
}

// Scaling returns the target itself, for Edit.
func (s *Server) Scaling(service string) *Target { return s.targets["service/"+service] }

func (s *Server) targetARN(id string) string {
	return fmt.Sprintf("arn:aws:application-autoscaling:%s:%s:scalable-target/%s", s.Region, Account, strings.ReplaceAll(id, "/", "-"))
}

// Alarm lets a scale-out alarm of a service fire: unless that is suspended, the
// count is raised to the least, or by one. It tells whether anything happened.
func (s *Server) Alarm(service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, svc := s.targets["service/"+service], s.ecs[service]
	if t.Out {
		return false
	}
	before := svc.Desired
	svc.Desired = min(max(svc.Desired+1, t.Min), t.Max)
	return svc.Desired != before
}

type suspendedState struct {
	DynamicScalingInSuspended, DynamicScalingOutSuspended, ScheduledScalingSuspended *bool
}

const ecsDimension = "ecs:service:DesiredCount"

func scalingOperations() map[string]operation {
	return map[string]operation{
		"DescribeScalableTargets":  with(false, describeTargets),
		"DescribeScheduledActions": with(false, describeSchedules),
		"RegisterScalableTarget":   with(true, register),
		"ListTagsForResource": with(false, func(s *Server, in struct{ ResourceARN string }) (any, error) {
			t, err := s.targetByARN(in.ResourceARN)
			if err != nil {
				return nil, err
			}
			return map[string]any{"Tags": t.Tags}, nil
		}),
		"TagResource": with(true, func(s *Server, in struct {
			ResourceARN string
			Tags        map[string]string
		},
		) (any, error) {
			t, err := s.targetByARN(in.ResourceARN)
			if err != nil {
				return nil, err
			}
			return struct{}{}, setTags(t.Tags, in.Tags)
		}),
		"UntagResource": with(true, func(s *Server, in struct {
			ResourceARN string
			TagKeys     []string
		},
		) (any, error) {
			t, err := s.targetByARN(in.ResourceARN)
			if err != nil {
				return nil, err
			}
			for _, k := range in.TagKeys {
				delete(t.Tags, k)
			}
			return struct{}{}, nil
		}),
	}
}

func (s *Server) targetByARN(arn string) (*Target, error) {
	for id, t := range s.targets {
		if s.targetARN(id) == arn {
			return t, nil
		}
	}
	return nil, refuse("ResourceNotFoundException", "Could not find the specified resource %s", arn)
}

func describeTargets(s *Server, in struct {
	ServiceNamespace string
	ResourceIds      []string
},
) (any, error) {
	if in.ServiceNamespace == "" || len(in.ResourceIds) > 50 {
		return nil, refuse("ValidationException", "2 validation errors detected")
	}
	list := []any{}
	for _, id := range sortedKeys(s.targets) {
		if len(in.ResourceIds) > 0 && !slices.Contains(in.ResourceIds, id) {
			continue
		}
		t := s.targets[id]
		list = append(list, map[string]any{
			"ServiceNamespace": "ecs", "ResourceId": id, "ScalableDimension": ecsDimension, "MinCapacity": t.Min, "MaxCapacity": t.Max,
			"RoleARN": "arn:aws:iam::" + Account + ":role/x", "CreationTime": 1.7e9, "ScalableTargetARN": s.targetARN(id),
			"SuspendedState": map[string]bool{"DynamicScalingInSuspended": t.In, "DynamicScalingOutSuspended": t.Out, "ScheduledScalingSuspended": t.Scheduled},
		})
	}
	return map[string]any{"ScalableTargets": list}, nil
}

func describeSchedules(s *Server, in struct {
	ServiceNamespace string
	ResourceID       string `json:"ResourceId"`
},
) (any, error) {
	list := []any{}
	for _, id := range sortedKeys(s.targets) {
		if in.ResourceID != "" && in.ResourceID != id {
			continue
		}
		for _, name := range sortedKeys(s.targets[id].Schedules) {
			list = append(list, map[string]any{"ScheduledActionName": name, "Schedule": s.targets[id].Schedules[name], "ServiceNamespace": "ecs",
				"ResourceId": id, "ScalableDimension": ecsDimension, "ScheduledActionARN": "arn", "CreationTime": 1.7e9})
		}
	}
	return map[string]any{"ScheduledActions": list}, nil
}

// register changes a target, and moves the count of its service into the range,
// whatever it was called for. Source:
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
func register(s *Server, in struct {
	ServiceNamespace, ScalableDimension string
	ResourceID                          string `json:"ResourceId"`
	MinCapacity, MaxCapacity            *int32
	SuspendedState                      *suspendedState
},
) (any, error) {
	t := s.targets[in.ResourceID]
	svc := s.ecs[strings.TrimPrefix(in.ResourceID, "service/")]
	if t == nil || svc == nil || in.ScalableDimension != ecsDimension {
		return nil, refuse("ValidationException", "ECS service doesn't exist: %s", in.ResourceID)
	}
	set := func(to, value *bool) {
		if value != nil {
			*to = *value
		}
	}
	if st := in.SuspendedState; st != nil {
		set(&t.In, st.DynamicScalingInSuspended)
		set(&t.Out, st.DynamicScalingOutSuspended)
		set(&t.Scheduled, st.ScheduledScalingSuspended)
	}
	svc.Desired = min(max(svc.Desired, t.Min), t.Max)
	return map[string]any{"ScalableTargetARN": s.targetARN(in.ResourceID)}, nil
}
