package kubecopy

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// A Difference is an object that is not as it was when it was copied, as YAML;
// "" where there is none.
type Difference struct {
	Object        string `json:"object"`
	Before, After string
}

// Differences are the objects that were written to and are not, byte for byte,
// as they were when they were copied. Left out are what every write moves
// (resourceVersion, generation, managedFields), the status, which is its
// controller's, and the request to Flux, an effect, which Flux leaves there.
func (c *Copy) Differences() []Difference {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := map[key]object{}
	for _, w := range c.writes {
		if _, seen := first[w.key]; !seen {
			first[w.key] = w.before
		}
	}
	var all []Difference
	for k, before := range first {
		if now := c.objects[k]; canonical(before) != canonical(now) {
			all = append(all, Difference{k.String(), manifest(before), manifest(now)})
		}
	}
	slices.SortFunc(all, func(a, b Difference) int { return strings.Compare(a.Object, b.Object) })
	return all
}

// Written are how many objects were written to.
func (c *Copy) Written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := map[key]bool{}
	for _, w := range c.writes {
		keys[w.key] = true
	}
	return len(keys)
}

// bare is an object without what a write moves of itself.
func bare(o object) object {
	if o == nil {
		return nil
	}
	o = (&unstructured.Unstructured{Object: o}).DeepCopy().Object
	for _, field := range []string{"resourceVersion", "generation", "managedFields"} {
		unstructured.RemoveNestedField(o, "metadata", field)
	}
	unstructured.RemoveNestedField(o, "metadata", "annotations", fluxRequest)
	if v, _, _ := unstructured.NestedFieldNoCopy(o, "metadata", "annotations"); isEmpty(v) {
		unstructured.RemoveNestedField(o, "metadata", "annotations")
	}
	delete(o, "status")
	return o
}

// matter is what an object says beside its metadata and status: a change of it
// makes a new generation.
func matter(o object) object {
	o = bare(o)
	delete(o, "metadata")
	return o
}

func same(a, b object) bool { return asJSON(a) == asJSON(b) }

func canonical(o object) string { return asJSON(bare(o)) }

// asJSON is an object as JSON, keys in order.
func asJSON(o object) string {
	raw, err := json.Marshal(o)
	if err != nil { // of plain data
		return err.Error()
	}
	return string(raw)
}

func manifest(o object) string {
	if o == nil {
		return ""
	}
	raw, err := yaml.Marshal(bare(o))
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
