// Package published holds what vendors have published of the calls that noren makes,
// as JSON Schemas, for the servers that play them in tests. Each file says after
// what it was written, at which commit. It is no part of noren.
package published

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed schemas
var files embed.FS

// A call is one call of a vendor's API, as it is published.
type call struct {
	request *jsonschema.Schema // nil: no body
	answers map[int]*jsonschema.Schema
}

// Checked stands before a stand-in of a vendor: a request that is none of the
// published ones, or whose body is not as published, is refused with 400 and never
// reaches it; an answer that the vendor would not give becomes a 500. Refusals of the
// stand-in, 4xx and 5xx, are let through. wrong, if not nil, is told of each.
func Checked(vendor string, next http.Handler, wrong func(format string, args ...any)) http.Handler {
	calls, err := read(vendor)
	if err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the schema of "+vendor+": "+err.Error(), http.StatusInternalServerError)
		})
	}
	refuse := func(w http.ResponseWriter, status int, text string) {
		if wrong != nil {
			wrong("%s: %s", vendor, text)
		}
		answer(w, status, text)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusBadRequest, "no such call is published: "+r.Method+" "+r.URL.Path)
	})
	for pattern, c := range calls {
		if strings.HasSuffix(pattern, " /") {
			pattern += "{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, next, refuse) })
	}
	return mux
}

func read(vendor string) (map[string]*call, error) {
	raw, err := files.ReadFile("schemas/" + vendor + ".json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(vendor, doc); err != nil {
		return nil, err
	}
	compile := func(parts ...string) (*jsonschema.Schema, error) {
		at := vendor + "#/calls"
		for _, p := range parts {
			at += "/" + strings.NewReplacer("~", "~0", "/", "~1", " ", "%20", "{", "%7B", "}", "%7D").Replace(p)
		}
		return compiler.Compile(at)
	}
	var all struct {
		Calls map[string]struct {
			Request json.RawMessage            `json:"request"`
			Answers map[string]json.RawMessage `json:"answers"`
		} `json:"calls"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	calls := map[string]*call{}
	for pattern, said := range all.Calls {
		c := &call{answers: map[int]*jsonschema.Schema{}}
		calls[pattern] = c
		if said.Request != nil {
			if c.request, err = compile(pattern, "request"); err != nil {
				return nil, err
			}
		}
		for status, schema := range said.Answers {
			code, err := strconv.Atoi(status)
			if err != nil {
				return nil, err
			}
			c.answers[code] = nil
			if string(schema) == "null" { // no body
				continue
			}
			if c.answers[code], err = compile(pattern, "answers", status); err != nil {
				return nil, err
			}
		}
	}
	return calls, nil
}

func (c *call) serve(w http.ResponseWriter, r *http.Request, next http.Handler, refuse func(http.ResponseWriter, int, string)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	if err := validate(c.request, body); err != nil {
		refuse(w, http.StatusBadRequest, "no such request is published: "+err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	got := httptest.NewRecorder()
	next.ServeHTTP(got, r)
	schema, known := c.answers[got.Code]
	switch {
	case got.Code >= http.StatusBadRequest:
	case !known:
		refuse(w, http.StatusInternalServerError, fmt.Sprintf("no such answer is published: status %d", got.Code))
		return
	default:
		if err := validate(schema, got.Body.Bytes()); err != nil {
			refuse(w, http.StatusInternalServerError, "no such answer is published: "+err.Error())
			return
		}
	}
	for k, v := range got.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(got.Code)
	_, _ = w.Write(got.Body.Bytes()) // the client may have gone
}

// validate tells what is wrong with a body; without a schema, there is to be none.
func validate(schema *jsonschema.Schema, body []byte) error {
	if schema == nil {
		if len(bytes.TrimSpace(body)) > 0 {
			return fmt.Errorf("it has a body: %s", body)
		}
		return nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	return schema.Validate(doc)
}

func answer(w http.ResponseWriter, status int, text string) {
	raw, err := json.Marshal(map[string]string{"message": text})
	if err != nil {
		raw = []byte(text)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}
