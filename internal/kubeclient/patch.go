package kubeclient

import (
	"encoding/json"
	"strings"
)

// A Patch is a JSON Patch (RFC 6902). The API server runs its operations in
// order on the stored object, all or none, so that a test before a write is a
// compare-and-swap of exactly the fields in question: a colleague's edit
// beside them is neither lost nor in the way.
type Patch struct {
	ops []operation
	err error
}

type operation struct {
	Op    string           `json:"op"`
	Path  string           `json:"path"`
	Value *json.RawMessage `json:"value,omitempty"`
}

// Pointer is a JSON Pointer (RFC 6901) of the segments, escaped: "~" is ~0 and
// "/" is ~1, which every annotation with a prefix needs.
func Pointer(segments ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(escape.Replace(s))
	}
	return b.String()
}

// Annotation is the pointer to an annotation.
func Annotation(key string) string { return Pointer("metadata", "annotations", key) }

// Test makes the patch apply only if the value at path is this one. A nil
// value holds where the last segment does not exist; the parent must exist.
// Source of the latter: gopkg.in/evanphx/json-patch.v4, as measured in
// the test of this package on a real API server.
func (p *Patch) Test(path string, value any) *Patch { return p.with("test", path, value) }

// Add adds the value at path, replacing one that is there; in a list it is
// inserted before the index.
func (p *Patch) Add(path string, value any) *Patch { return p.with("add", path, value) }

// Remove removes what is at path, which must exist.
func (p *Patch) Remove(path string) *Patch {
	p.ops = append(p.ops, operation{Op: "remove", Path: path})
	return p
}

// Empty tells whether the patch has no operations.
func (p *Patch) Empty() bool { return len(p.ops) == 0 }

// JSON is the patch as it is sent.
func (p *Patch) JSON() ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	return json.Marshal(p.ops)
}

func (p *Patch) with(op, path string, value any) *Patch {
	raw, err := json.Marshal(value)
	if err != nil && p.err == nil {
		p.err = err
	}
	message := json.RawMessage(raw)
	p.ops = append(p.ops, operation{Op: op, Path: path, Value: &message})
	return p
}
