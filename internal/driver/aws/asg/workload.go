package asg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// The guards, by the names that override them.
const (
	minZero = "min-zero"
	maxLow  = "max-low"
)

func guards() []string { return []string{maxLow, minZero} }

// Options choose how a group rests.
type Options struct {
	// To is how many instances are left while it rests; by default none.
	To int32 `json:"to,omitempty"`
	// Max, if it is given, is the most that it may have while it rests.
	Max *int32 `json:"max,omitempty"`
	// KeepSize leaves its size alone: its processes alone are suspended.
	KeepSize bool `json:"keep_size,omitempty"`
	// Suspend names the processes that are suspended while it rests; by default
	// those that would change its size: AlarmNotification and ScheduledActions.
	Suspend []string `json:"suspend,omitempty"`
	// Allow overrides guards by their names: min-zero, max-low.
	Allow []string `json:"allow,omitempty"`
}

// Validate says what is wrong.
func (o Options) Validate() error {
	if o.KeepSize && (o.To != 0 || o.Max != nil) {
		return errors.New("keep_size leaves the size alone, and to or max changes it: leave one of them out")
	}
	for _, name := range o.Allow {
		if slices.Contains(guards(), name) {
			continue
		}
		text := fmt.Sprintf("allow: %q is none of the guards %s", name, strings.Join(guards(), ", "))
		if near := fault.Nearest(name, guards()); near != "" {
			text += fmt.Sprintf("; did you mean %s?", near)
		}
		return errors.New(text)
	}
	if err := checkProcesses(o.Suspend); err != nil {
		return err
	}
	for _, name := range []string{"Launch", "Terminate"} {
		if !o.KeepSize && slices.Contains(o.Suspend, name) {
			return fmt.Errorf("suspend: without %s the group cannot change its size; with keep_size: true it keeps it", name)
		}
	}
	return ScaleParams{"-", o.To, o.Max}.Validate()
}

func (o Options) allows(guard string) bool { return slices.Contains(o.Allow, guard) }

func (o Options) processes() []string {
	if len(o.Suspend) > 0 {
		return o.Suspend
	}
	return []string{"AlarmNotification", "ScheduledActions"}
}

// A workload is a group that rests with fewer instances.
type workload struct {
	*client
	group string
	o     Options
}

func openWorkload(c *awsclient.Conn, name string, o Options) (driver.Workload, error) {
	if name == "" || strings.Contains(name, ":") {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "malformed workload name", Detail: fmt.Sprintf("aws/asg %q: want the name of a group, and no ARN.", name)}
	}
	w := &workload{clientOf(c), name, o}
	w.byName.Expect(name)
	return w, nil
}

func (w *workload) scale() *scale { return &scale{client: w.client, p: w.scaleParams()} }

func (w *workload) scaleParams() ScaleParams { return ScaleParams{w.group, w.o.To, w.o.Max} }

func (w *workload) suspendParams() SuspendParams { return SuspendParams{w.group, w.o.processes()} }

// Requires implements action.Requirer.
func (w *workload) Requires() []action.Permission {
	need := (&suspend{client: w.client, p: w.suspendParams()}).Requires()
	if !w.o.KeepSize {
		need = append(need, w.scale().Requires()...)
	}
	why := "guard what serves customers, from the load of the last days"
	for _, verb := range []string{"autoscaling:DescribePolicies", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "elasticloadbalancing:DescribeTargetGroups"} {
		need = append(need, action.Permission{System: system, Verb: verb, Why: why})
	}
	return need
}

// Rest implements driver.Workload. What would scale the group back is suspended
// before its size changes, and resumed once that is back.
func (w *workload) Rest(ctx context.Context) (*driver.Resting, error) {
	g, err := w.byName.Get(ctx, w.group)
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, w.missing(ctx, w.group)
	}
	r := &driver.Resting{Target: w.scale().Target(), Notes: w.notes(g)}
	h, err := w.look(ctx, g)
	if err != nil {
		return nil, err
	}
	r.Notes = append(r.Notes, h.notes(g)...)
	if len(suspendable(suspensionOf(g, w.o.processes()))) > 0 {
		r.Calls = append(r.Calls, driver.Call{Action: "aws/asg.suspend", Params: w.suspendParams()})
	}
	if w.o.KeepSize {
		return r, nil
	}
	if err := w.guard(ctx, g, h); err != nil {
		return nil, err
	}
	r.Calls = append(r.Calls, driver.Call{Action: "aws/asg.scale", Params: w.scaleParams()})
	return r, nil
}

// suspendable are the processes that are not suspended yet.
func suspendable(s Suspension) []string {
	var names []string
	for name, suspended := range s {
		if !suspended {
			names = append(names, name)
		}
	}
	return names
}

// guard refuses what must not happen to a group that serves customers, unless
// the guard is overridden by its name.
func (w *workload) guard(ctx context.Context, g *types.AutoScalingGroup, h *history) error {
	now := sizeOf(g)
	rest := now.resting(w.o.To, w.o.Max)
	if rest.Min == 0 && now.Min > 0 && !w.o.allows(minZero) {
		through, err := w.serves(ctx, g)
		if err != nil {
			return err
		}
		if len(through) > 0 {
			return w.guarded(minZero, fmt.Sprintf("%s serves customers through %s, and would get a minimum of 0: with nothing left that serves, a closed page that fails, or an opening that is cut off, is an outage.",
				label(w.group), strings.Join(through, ", ")), "to: 1")
		}
	}
	if peak, when := h.peak(); w.o.Max != nil && peak > float64(rest.Max) && !w.o.allows(maxLow) {
		return w.guarded(maxLow, fmt.Sprintf("%s would get a maximum of %d, and in the last %d days it needed %.0f instances (%s).", label(w.group), rest.Max, historyDays, peak, when.Format("2006-01-02 15:04 MST")),
			fmt.Sprintf("max: %.0f", peak))
	}
	return nil
}

func (w *workload) guarded(guard, detail, instead string) error {
	return &fault.Fault{Code: fault.CheckFailed, Summary: "guard " + guard + " refuses", Detail: detail + " Nothing was touched.",
		Try: []string{
			fmt.Sprintf("- {kind: aws/asg, name: %s, %s}   # in noren.yaml", w.group, instead),
			fmt.Sprintf("- {kind: aws/asg, name: %s, …, allow: [%s]}   # if that is meant so", w.group, guard),
		}}
}

// notes say what a reader of the plan should know of the group.
func (w *workload) notes(g *types.AutoScalingGroup) []driver.Note {
	var notes []driver.Note
	name, now := label(w.group), sizeOf(g)
	if !w.o.KeepSize && now == now.resting(w.o.To, w.o.Max) {
		notes = append(notes, driver.Note{Text: fmt.Sprintf("%s has %s already and stays so, also after opening.", name, now)})
	}
	if tags := tagsOf(g); !w.o.KeepSize && (g.Operator != nil || hasKey(tags, "AmazonECSManaged")) {
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("The size of %s is kept by another service of AWS, such as a capacity provider of ECS: it may scale it back while the service is closed.", name)})
	}
	if g.Status != nil {
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("%s is being deleted (%s).", name, aws.ToString(g.Status))})
	}
	for _, p := range g.SuspendedProcesses {
		process := aws.ToString(p.ProcessName)
		if !w.o.KeepSize && (process == "Launch" || process == "Terminate") {
			notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("%s of %s is suspended (%s): its size will not change until someone resumes it.", process, name, aws.ToString(p.SuspensionReason))})
		}
		if slices.Contains(w.o.processes(), process) {
			notes = append(notes, driver.Note{Text: fmt.Sprintf("%s of %s is suspended already and stays so, also after opening.", process, name)})
		}
	}
	return notes
}

func hasKey(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}
