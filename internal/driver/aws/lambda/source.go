package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// SourceParams are the parameters of aws/lambda-source.disable.
type SourceParams struct {
	UUID string `json:"uuid"`
}

// Validate says what is wrong.
func (p SourceParams) Validate() error {
	if p.UUID == "" {
		return errors.New("uuid is needed")
	}
	return nil
}

// A Feeding is the state of aws/lambda-source.disable.
type Feeding struct {
	Enabled bool `json:"enabled"`
}

// source is the change aws/lambda-source.disable. A source that is enabled again
// goes on where it was: messages wait in their queue or stream, as long as that
// keeps them. Source:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
type source struct {
	*client
	p    SourceParams
	mark *action.Mark
}

func openSource(c *awsclient.Conn, p SourceParams) (driver.Typed[Feeding], error) {
	return &source{client: clientOf(c), p: p}, nil
}

// Target implements driver.Typed.
func (s *source) Target() string { return s.conn.Target("lambda-source", s.p.UUID) }

// Name implements awsclient.Thing.
func (s *source) Name() string { return "event source " + s.p.UUID }

// get reads the event source, nil if it does not exist.
func (s *source) get(ctx context.Context) (*lambda.GetEventSourceMappingOutput, error) {
	out, err := s.lambda.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: aws.String(s.p.UUID)})
	if awsclient.IsCode(err, notFound) {
		return nil, nil
	}
	return out, s.conn.Classify(err, "read "+s.Name())
}

// The states of an event source. Source:
// https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html
const (
	stateEnabled   = "Enabled"
	stateDisabled  = "Disabled"
	stateDisabling = "Disabling"
)

// feeds tells from a state whether the source feeds its function, or is about to.
func feeds(state string) bool { return state != stateDisabled && state != stateDisabling }

// Read implements awsclient.Thing.
func (s *source) Read(ctx context.Context) (*Feeding, awsclient.Tagger, error) {
	out, err := s.get(ctx)
	if err != nil || out == nil {
		return nil, nil, err
	}
	arn := cmp.Or(aws.ToString(out.EventSourceMappingArn), s.arn())
	return &Feeding{feeds(aws.ToString(out.State))}, tagged{s.client, arn, s.Name()}, nil
}

func (s *source) arn() string { return s.conn.ARN("lambda", "event-source-mapping:"+s.p.UUID) }

// Observe implements driver.Typed.
func (s *source) Observe(ctx context.Context) (*Feeding, error) { return awsclient.Observe(ctx, s) }

// Propose implements driver.Typed.
func (s *source) Propose(from *Feeding) (*Feeding, error) {
	if from == nil {
		return nil, s.conn.Missing("event source", s.p.UUID, "aws lambda list-event-source-mappings", nil)
	}
	return &Feeding{false}, nil
}

// Apply implements driver.Typed.
func (s *source) Apply(ctx context.Context, from, to *Feeding) error {
	return awsclient.Apply(ctx, s, s.mark, from, to)
}

// Write implements awsclient.Thing. While a source is on its way from one state
// to another, Lambda takes no change.
func (s *source) Write(ctx context.Context, _, to *Feeding) error {
	_, err := s.lambda.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: aws.String(s.p.UUID), Enabled: aws.Bool(to.Enabled)})
	if awsclient.IsCode(err, "ResourceInUseException", "ResourceConflictException") {
		return fmt.Errorf("change %s: it is on its way to another state: %w (%w)", s.Name(), action.ErrUnavailable, awsclient.Plain(err))
	}
	return s.conn.Classify(err, "change "+s.Name())
}

// Marked implements driver.TypedMarker.
func (s *source) Marked(m action.Mark) driver.Typed[Feeding] { return &source{s.client, s.p, &m} }

// Fits implements driver.MarkLimiter.
func (s *source) Fits(ctx context.Context, m action.Mark) error {
	return awsclient.MarkFits(ctx, s, m)
}

// Requires implements action.Requirer.
func (s *source) Requires() []action.Permission {
	return s.permissions(s.arn(), "disable it for the work, and enable it again",
		"GetEventSourceMapping", "UpdateEventSourceMapping", "ListTags", "TagResource", "UntagResource")
}

// Describe implements driver.TypedDescriber.
func (s *source) Describe(from, to *Feeding) action.Description {
	line := "enable " + s.Name() + " again"
	if to != nil && !to.Enabled {
		line = "disable " + s.Name()
	}
	return awsclient.Describe(line, from, to)
}

// Settled: the source has come to the state that is wanted.
func (s *source) Settled(ctx context.Context, want *Feeding) (action.Verdict, error) {
	out, err := s.get(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	if out == nil {
		return action.Verdict{Summary: s.Name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	state, wanted := aws.ToString(out.State), stateDisabled
	if want.Enabled {
		wanted = stateEnabled
	}
	v := action.Verdict{OK: state == wanted, Summary: s.Name() + " is " + state}
	if !v.OK {
		v.Findings = []string{"Lambda says: " + aws.ToString(out.StateTransitionReason)}
		v.Try = []string{fmt.Sprintf("aws lambda get-event-source-mapping --uuid %s --region %s", s.p.UUID, s.conn.Region())}
	}
	return v, nil
}

// sourceWorkload is an event source that rests.
type sourceWorkload struct {
	*client
	uuid             string
	function, source string // where it is named by these
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func openSourceWorkload(c *awsclient.Conn, name string, _ NoOptions) (driver.Workload, error) {
	w := &sourceWorkload{client: clientOf(c)}
	if uuid.MatchString(name) {
		w.uuid = name
		return w, nil
	}
	var ok bool
	if w.function, w.source, ok = strings.Cut(name, "/"); !ok || w.function == "" || w.source == "" || strings.HasPrefix(name, "arn:") {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "malformed workload name",
			Detail: fmt.Sprintf("aws/lambda-source %q: want a UUID, or function/source such as orders/orders-queue, and no ARN.", name)}
	}
	return w, nil
}

// Requires implements action.Requirer.
func (w *sourceWorkload) Requires() []action.Permission {
	id := w.uuid
	if id == "" {
		id = "*"
	}
	need := (&source{client: w.client, p: SourceParams{id}}).Requires()
	return append(need, action.Permission{System: system, Verb: "lambda:ListEventSourceMappings", Why: "find it by the names of its function and source"})
}

// Rest implements driver.Workload.
func (w *sourceWorkload) Rest(ctx context.Context) (*driver.Resting, error) {
	id := w.uuid
	if id == "" {
		var err error
		if id, err = w.find(ctx); err != nil {
			return nil, err
		}
	}
	s := &source{client: w.client, p: SourceParams{id}}
	out, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	if out == nil {
		return nil, w.missing(ctx, id)
	}
	r := &driver.Resting{Target: s.Target(), Calls: []driver.Call{{Action: "aws/lambda-source.disable", Params: s.p}}}
	r.Notes = append(r.Notes, driver.Note{Text: fmt.Sprintf("%s leads from %s to function %s.", s.Name(), sourceName(aws.ToString(out.EventSourceArn)), functionName(aws.ToString(out.FunctionArn)))})
	if !feeds(aws.ToString(out.State)) {
		r.Notes = append(r.Notes, driver.Note{Text: s.Name() + " is disabled already and stays so, also after opening."})
	}
	return r, nil
}

// find is the UUID of the one source of that name.
func (w *sourceWorkload) find(ctx context.Context) (string, error) {
	all, err := w.sources(ctx, w.function)
	if err != nil && !awsclient.IsCode(err, notFound) {
		return "", err
	}
	var ids, names []string
	for _, m := range all {
		name := sourceName(aws.ToString(m.EventSourceArn))
		names = append(names, w.function+"/"+name)
		if name == w.source {
			ids = append(ids, aws.ToString(m.UUID))
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		if len(names) == 0 {
			names = w.allNames(ctx)
		}
		return "", w.conn.Missing("event source", w.function+"/"+w.source, "aws lambda list-event-source-mappings --function-name "+w.function, names)
	}
	slices.Sort(ids)
	return "", &fault.Fault{Code: fault.Invalid, Summary: "event source is not the only one",
		Detail: fmt.Sprintf("%d event sources lead from %s to function %s. Name the one by its UUID: %s.", len(ids), w.source, w.function, strings.Join(ids, ", "))}
}

func (w *sourceWorkload) missing(ctx context.Context, id string) error {
	all, _ := w.sources(ctx, "") // what cannot be listed suggests nothing
	var ids []string
	for _, m := range all {
		ids = append(ids, aws.ToString(m.UUID))
	}
	return w.conn.Missing("event source", id, "aws lambda list-event-source-mappings", ids)
}

func (w *sourceWorkload) allNames(ctx context.Context) []string {
	all, _ := w.sources(ctx, "")
	var names []string
	for _, m := range all {
		names = append(names, named(m))
	}
	return names
}

// named is how a catalog may name an event source.
func named(m types.EventSourceMappingConfiguration) string {
	return functionName(aws.ToString(m.FunctionArn)) + "/" + sourceName(aws.ToString(m.EventSourceArn))
}

// sourceName is the name of a queue, stream, table or topic in its ARN:
// "arn:aws:sqs:us-east-1:123456789012:orders", "…:table/orders/stream/2026-…".
func sourceName(arn string) string {
	last := arn[strings.LastIndex(arn, ":")+1:]
	if i := strings.Index(arn, ":table/"); i >= 0 {
		last = arn[i+1:]
	}
	if kind, rest, ok := strings.Cut(last, "/"); ok && kind != "" {
		last, _, _ = strings.Cut(rest, "/")
	}
	return last
}

// functionName is the name of a function in its ARN, without a version.
func functionName(arn string) string {
	_, name, _ := strings.Cut(arn, ":function:")
	name, _, _ = strings.Cut(name, ":")
	return name
}
