package strict

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A Source is an event source of a Lambda function. Like the real ones it takes a
// moment to be disabled or enabled, in which it takes no further change.
type Source struct {
	Function, Queue string
	Enabled         bool
	Tags            map[string]string

	moving bool
}

// AddSource adds an event source.
func (s *Server) AddSource(uuid string, src Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src.Tags == nil {
		src.Tags = map[string]string{}
	}
	s.sources[uuid] = &src
}

// Source returns an event source as it is now.
func (s *Server) Source(uuid string) Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src := s.sources[uuid]; src != nil {
		return *src
	}
	return Source{}
}

// Feeding returns the event source itself, for Edit.
func (s *Server) Feeding(uuid string) *Source { return s.sources[uuid] }

func sourceARN(uuid string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:event-source-mapping:%s", Region, Account, uuid)
}

// state is that of a source, which moves on with every look.
func (src *Source) state() string {
	moving := src.moving
	src.moving = false
	switch {
	case src.Enabled && moving:
		return "Enabling"
	case src.Enabled:
		return "Enabled"
	case moving:
		return "Disabling"
	}
	return "Disabled"
}

func (src *Source) shown(uuid string) map[string]any {
	return map[string]any{
		"UUID": uuid, "EventSourceMappingArn": sourceARN(uuid), "State": src.state(), "StateTransitionReason": "USER_INITIATED",
		"FunctionArn":    fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", Region, Account, src.Function),
		"EventSourceArn": fmt.Sprintf("arn:aws:sqs:%s:%s:%s", Region, Account, src.Queue), "LastModified": 1.7e9,
	}
}

// rest answers Lambda, whose protocol is REST. Source:
// https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
func (s *Server) rest(w http.ResponseWriter, r *http.Request, body []byte) {
	path, err := url.PathUnescape(r.URL.EscapedPath())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name, op := s.lambdaOperation(r, path, body)
	answer, lost, err := s.perform(r, "lambda", name, op, json.RawMessage("{}"))
	if lost {
		cut(w)
		return
	}
	if ref, ok := err.(*refusal); ok { //nolint:errorlint // it is made here
		w.Header().Set("X-Amzn-Errortype", ref.code)
	}
	writeJSON(w, answer, err)
}

// lambdaOperation is what a request asks for, ready to be carried out.
func (s *Server) lambdaOperation(r *http.Request, path string, body []byte) (string, operation) {
	const mappings, tags = "/2015-03-31/event-source-mappings", "/2017-03-31/tags/"
	uuid := strings.Trim(strings.TrimPrefix(path, mappings), "/")
	switch {
	case strings.HasPrefix(path, mappings) && uuid == "":
		return "ListEventSourceMappings", reads(func() (any, error) { return s.listSources(r.URL.Query().Get("FunctionName")), nil })
	case strings.HasPrefix(path, mappings) && r.Method == http.MethodGet:
		return "GetEventSourceMapping", reads(func() (any, error) {
			src, err := s.sourceOf(uuid)
			if err != nil {
				return nil, err
			}
			return src.shown(uuid), nil
		})
	case strings.HasPrefix(path, mappings) && r.Method == http.MethodPut:
		return "UpdateEventSourceMapping", operation{true, func(s *Server, _ json.RawMessage) (any, error) { return s.updateSource(uuid, body) }}
	case strings.HasPrefix(path, tags):
		return s.tagOperation(r, strings.TrimPrefix(path, tags), body)
	case strings.HasPrefix(path, "/2015-03-31/functions"):
		return "ListFunctions", reads(func() (any, error) { return map[string]any{"Functions": []any{}}, nil })
	}
	return r.Method + path, operation{}
}

func reads(do func() (any, error)) operation {
	return operation{false, func(*Server, json.RawMessage) (any, error) { return do() }}
}

func (s *Server) sourceOf(uuid string) (*Source, error) {
	if src := s.sources[uuid]; src != nil {
		return src, nil
	}
	return nil, &refusal{http.StatusNotFound, "ResourceNotFoundException", "The resource you requested does not exist."}
}

func (s *Server) listSources(function string) any {
	list := []any{}
	for _, uuid := range sortedKeys(s.sources) {
		if function == "" || s.sources[uuid].Function == function {
			list = append(list, s.sources[uuid].shown(uuid))
		}
	}
	return map[string]any{"EventSourceMappings": list}
}

func (s *Server) updateSource(uuid string, body []byte) (any, error) {
	src, err := s.sourceOf(uuid)
	if err != nil {
		return nil, err
	}
	if src.moving {
		return nil, refuse("ResourceInUseException", "Cannot update the event source mapping because it is in use.")
	}
	var in struct{ Enabled *bool }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, refuse("InvalidParameterValueException", "%v", err)
	}
	if in.Enabled != nil && *in.Enabled != src.Enabled {
		src.Enabled, src.moving = *in.Enabled, true
	}
	moving := src.moving
	shown := src.shown(uuid)
	src.moving = moving
	return shown, nil
}

// tagOperation reads or changes the tags of an event source.
func (s *Server) tagOperation(r *http.Request, arn string, body []byte) (string, operation) {
	uuid := arn[strings.LastIndex(arn, ":")+1:]
	with := func(writes bool, do func(src *Source) (any, error)) operation {
		return operation{writes, func(s *Server, _ json.RawMessage) (any, error) {
			src, err := s.sourceOf(uuid)
			if err != nil {
				return nil, err
			}
			return do(src)
		}}
	}
	switch r.Method {
	case http.MethodGet:
		return "ListTags", with(false, func(src *Source) (any, error) { return map[string]any{"Tags": src.Tags}, nil })
	case http.MethodPost:
		return "TagResource", with(true, func(src *Source) (any, error) {
			var in struct{ Tags map[string]string }
			if err := json.Unmarshal(body, &in); err != nil {
				return nil, refuse("InvalidParameterValueException", "%v", err)
			}
			return struct{}{}, setTags(src.Tags, in.Tags)
		})
	default:
		return "UntagResource", with(true, func(src *Source) (any, error) {
			for _, k := range r.URL.Query()["tagKeys"] {
				delete(src.Tags, k)
			}
			return struct{}{}, nil
		})
	}
}

// DeleteSource deletes an event source, as a colleague would.
func (s *Server) DeleteSource(uuid string) {
	s.Edit(func(s *Server) { delete(s.sources, uuid) })
}

// Stick puts a source on its way once more, until somebody looks.
func (src *Source) Stick() { src.moving = true }
