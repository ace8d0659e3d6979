package appstatus

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// JSONSchema is the JSON Schema (draft 2020-12) of the document. It lets
// members pass that it does not know: a newer noren may add some.
func JSONSchema() ([]byte, error) {
	r := &jsonschema.Reflector{DoNotReference: true, Anonymous: true, RequiredFromJSONSchemaTags: true, AllowAdditionalProperties: true}
	s := r.Reflect(&Document{})
	s.Title = Schema
	s.Description = "The status document that noren writes for apps. Readers ignore members and values that they do not know."
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema of the status document: %w", err)
	}
	return append(out, '\n'), nil
}
