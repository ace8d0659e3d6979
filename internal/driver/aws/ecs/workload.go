package ecs

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// WorkloadOptions choose how a service rests.
type WorkloadOptions struct {
	// To is how many tasks are left while it rests; by default none.
	To int32 `json:"to,omitempty"`
}

// Validate says what is wrong.
func (o WorkloadOptions) Validate() error {
	if o.To < 0 {
		return fmt.Errorf("to: %d is less than none", o.To)
	}
	return nil
}

// A workload is a service that rests with fewer tasks.
type workload struct {
	*client
	key key
	to  int32
}

func openWorkload(c *awsclient.Conn, name string, o WorkloadOptions) (driver.Workload, error) {
	k, err := split(name)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "malformed workload name", Detail: fmt.Sprintf("aws/ecs %q: %v.", name, err), Err: err}
	}
	w := &workload{clientOf(c), k, o.To}
	w.expect(k)
	return w, nil
}

func (w *workload) scale() *scale {
	return &scale{client: w.client, p: ScaleParams{w.key, w.to}}
}

func (w *workload) suspend() *suspend { return &suspend{client: w.client, p: SuspendParams{w.key}} }

// Requires implements action.Requirer.
func (w *workload) Requires() []action.Permission {
	need := append(w.scale().Requires(), w.suspend().Requires()...)
	return append(need, action.Permission{System: system, Verb: "application-autoscaling:DescribeScheduledActions", Why: "tell of scheduled scaling that would be missed"})
}

// Rest implements driver.Workload. What would scale the service back is
// suspended before its count goes down, and resumed once the count is back.
func (w *workload) Rest(ctx context.Context) (*driver.Resting, error) {
	s, err := w.service(ctx, w.key)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, w.missing(ctx, w.key)
	case s.SchedulingStrategy == types.SchedulingStrategyDaemon:
		return nil, w.daemon()
	}
	r := &driver.Resting{Target: w.scale().Target(), Notes: w.notes(s)}
	target, err := w.targets.Get(ctx, w.key.resourceID())
	if err != nil {
		return nil, err
	}
	if target != nil {
		if err := w.rescaling(ctx, s, target, r); err != nil {
			return nil, err
		}
	}
	r.Calls = append(r.Calls, driver.Call{Action: "aws/ecs.scale", Params: ScaleParams{w.key, w.to}})
	return r, nil
}

// rescaling proposes to suspend what would scale the service back.
func (w *workload) rescaling(ctx context.Context, s *types.Service, target *scalable, r *driver.Resting) error {
	least, most := aws.ToInt32(target.MinCapacity), aws.ToInt32(target.MaxCapacity)
	suspended := suspensionOf(target)
	if suspended.all() {
		r.Notes = append(r.Notes, driver.Note{Text: fmt.Sprintf("The autoscaling of %s is suspended already and stays so, also after opening.", w.key.name())})
		return nil
	}
	if s.DesiredCount < least && s.DesiredCount == w.to {
		r.Notes = append(r.Notes, driver.Note{Warn: true, Text: fmt.Sprintf("%s has %d tasks, below the %d that its autoscaling keeps. To suspend that would start tasks, so noren leaves it alone: it may start some while the service is closed.",
			w.key.name(), s.DesiredCount, least)})
		return nil
	}
	if err := w.suspend().clamps(s.DesiredCount, target); err != nil {
		return err
	}
	r.Calls = append(r.Calls, driver.Call{Action: "aws/autoscaling.suspend", Params: SuspendParams{w.key}})
	actions, err := w.schedules.Get(ctx, w.key.resourceID())
	if err != nil {
		return err
	}
	if actions != nil && !suspended.Scheduled {
		var when []string
		for _, a := range *actions {
			when = append(when, fmt.Sprintf("%s %s", aws.ToString(a.ScheduledActionName), aws.ToString(a.Schedule)))
		}
		r.Notes = append(r.Notes, driver.Note{Warn: true, Text: fmt.Sprintf("%s has scheduled scaling (%s). What falls into the closing does not happen, and is not made up for: it keeps between %d and %d tasks after opening.",
			w.key.name(), strings.Join(when, ", "), least, most)})
	}
	return nil
}

// daemon refuses a service that has no number of tasks. Source:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_services.html#service_scheduler_daemon
func (w *workload) daemon() error {
	return &fault.Fault{Code: fault.Invalid, Summary: "DAEMON service cannot rest",
		Detail: fmt.Sprintf("%s runs one task on each container instance (scheduling strategy DAEMON) and has no number of tasks to bring down. Take it out of the workloads.", w.key.name())}
}

// notes say what a reader of the plan should know of the service.
func (w *workload) notes(s *types.Service) []driver.Note {
	var notes []driver.Note
	name := w.key.name()
	if s.DesiredCount == w.to {
		notes = append(notes, driver.Note{Text: fmt.Sprintf("%s has %s already and stays so, also after opening.", name, &Count{s.DesiredCount})})
	}
	if s.DesiredCount < w.to {
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("%s has %s and rests with %d: it gets more than it has now.", name, &Count{s.DesiredCount}, w.to)})
	}
	switch underway, how := deploying(s); {
	case underway && how != types.DeploymentStrategyRolling:
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("A %s deployment of %s is under way: ECS shifts its traffic meanwhile. Wait for its end, or stop it, before you close.", how, name)})
	case underway:
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("A deployment of %s is under way: with fewer tasks it may end at once, and its new version comes up when the service opens.", name)})
	}
	return notes
}

// deploying tells whether a deployment is under way, and how ECS makes them.
func deploying(s *types.Service) (underway bool, how types.DeploymentStrategy) {
	how = types.DeploymentStrategyRolling
	if c := s.DeploymentConfiguration; c != nil && c.Strategy != "" {
		how = c.Strategy
	}
	if c := s.DeploymentController; c != nil && c.Type == types.DeploymentControllerTypeCodeDeploy {
		return len(s.TaskSets) > 1, "CodeDeploy blue/green"
	}
	for _, d := range s.Deployments {
		underway = underway || d.RolloutState == types.DeploymentRolloutStateInProgress
	}
	return underway || len(s.Deployments) > 1, how
}
