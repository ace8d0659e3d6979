package kubecopy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// A kind is one resource of the API: "networking.k8s.io", "v1", "ingresses".
type kind struct{ group, version, resource string }

// String is the resource as kubectl writes it.
func (k kind) String() string {
	if k.group == "" {
		return k.resource
	}
	return k.resource + "." + k.group
}

// root is where the resource is served, below the server's root.
func (k kind) root() string {
	if k.group == "" {
		return "/api/" + k.version
	}
	return "/apis/" + k.group + "/" + k.version
}

// A key names one object.
type key struct {
	kind            kind
	namespace, name string
}

// String names the object for people.
func (k key) String() string {
	if k.namespace == "" {
		return k.kind.String() + " " + k.name
	}
	return k.kind.String() + " " + k.namespace + "/" + k.name
}

// scope is a list: all objects of a kind in a namespace, or in all ("").
type scope struct {
	kind      kind
	namespace string
}

func (s scope) path() string {
	if s.namespace == "" {
		return s.kind.root() + "/" + s.kind.resource
	}
	return s.kind.root() + "/namespaces/" + s.namespace + "/" + s.kind.resource
}

// An object as JSON decodes it, with whole numbers as int64. One that is stored
// is never written to again.
type object = map[string]any

// A Write is one write that a copy has taken.
type Write struct {
	At time.Time
	// By is [kubeclient.FieldManager], or a stand-in's name.
	By     string
	Verb   string // "create", "patch", "update", "delete"
	Object string // "ingresses.networking.k8s.io shop/web"

	key           key
	before, after object // nil: not there
}

// A Copy is one cluster as far as it was asked for, and what was written to it.
// It is safe for concurrent use.
type Copy struct {
	source *source
	now    func() time.Time

	mu      sync.Mutex
	objects map[key]object // nil: it is known not to be there
	lists   map[scope]bool // read in full
	names   map[kind]string
	writes  []Write
	version int64 // of the last write
	scaled  map[key]int64
}

// firstVersion is the resourceVersion of a copy's first write: more than any
// that a real server has given so far, so that it is never taken for one.
const firstVersion = 1 << 53

func newCopy(s *source, now func() time.Time) *Copy {
	return &Copy{source: s, now: now, objects: map[key]object{}, lists: map[scope]bool{}, names: map[kind]string{}, version: firstVersion, scaled: map[key]int64{}}
}

// Writes are those that the copy has taken so far, the oldest first.
func (c *Copy) Writes() []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.writes)
}

const acceptJSON = "application/json"

// get makes sure that the copy knows an object. The answer is the real server's
// if that has something else to say than the object, or that there is none.
func (c *Copy) get(ctx context.Context, k key) (*answer, error) {
	c.mu.Lock()
	_, known := c.objects[k]
	known = known || c.lists[scope{k.kind, k.namespace}] || c.lists[scope{k.kind, ""}]
	c.mu.Unlock()
	if known {
		return nil, nil
	}
	a, err := c.source.get(ctx, scope{k.kind, k.namespace}.path()+"/"+k.name, "", acceptJSON)
	switch {
	case err != nil:
		return nil, err
	case a.code == http.StatusNotFound:
		c.keep(k, nil)
		return &a, nil // with the real server's words: the kind itself may be missing
	case !a.ok():
		return &a, nil
	}
	o, err := decode(a.body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	c.keep(k, o)
	return nil, nil
}

// keep stores what was read, unless the copy knows better by now.
func (c *Copy) keep(k key, o object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.objects[k]; !known {
		c.objects[k] = o
	}
}

// pageSize is how many objects are asked for at a time.
const pageSize = "500"

// list makes sure that the copy knows all objects of a scope. The answer is as
// that of get.
func (c *Copy) list(ctx context.Context, s scope) (*answer, error) {
	c.mu.Lock()
	known := c.lists[s] || c.lists[scope{s.kind, ""}]
	c.mu.Unlock()
	if known {
		return nil, nil
	}
	query := url.Values{"limit": {pageSize}}
	var all []any
	for {
		a, err := c.source.get(ctx, s.path(), query.Encode(), acceptJSON)
		if err != nil || !a.ok() {
			return &a, err
		}
		page, err := decode(a.body)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", s.kind, err)
		}
		items, _, _ := unstructured.NestedSlice(page, "items")
		all = append(all, items...)
		more, _, _ := unstructured.NestedString(page, "metadata", "continue")
		if more == "" {
			name, _, _ := unstructured.NestedString(page, "kind")
			version, _, _ := unstructured.NestedString(page, "apiVersion")
			c.keepAll(s, strings.TrimSuffix(name, "List"), version, all)
			return nil, nil
		}
		query.Set("continue", more)
	}
}

// keepAll stores a list. Items of built-in kinds come without their kind.
func (c *Copy) keepAll(s scope, name, version string, items []any) {
	for _, item := range items {
		o, ok := item.(object)
		if !ok {
			continue
		}
		o["kind"], o["apiVersion"] = name, version
		meta, _ := o["metadata"].(object)
		namespace, _ := meta["namespace"].(string)
		own, _ := meta["name"].(string)
		c.keep(key{s.kind, namespace, own}, o)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists[s] = true
	if name != "" {
		c.names[s.kind] = name
	}
}

// live is the moment of a copy as it is now.
const live = -1

// at is an object as it was before the write of that number, nil if it was not
// there. mu is held.
func (c *Copy) at(k key, moment int) object {
	if moment >= 0 {
		for _, w := range c.writes[min(moment, len(c.writes)):] {
			if w.key == k {
				return w.before
			}
		}
	}
	return c.objects[k]
}

// found are the objects of a scope as they were at a moment, by name. mu is held.
func (c *Copy) found(s scope, moment int) []object {
	var keys []key
	for k := range c.objects {
		if k.kind == s.kind && (s.namespace == "" || k.namespace == s.namespace) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	all := []object{}
	for _, k := range keys {
		if o := c.at(k, moment); o != nil {
			all = append(all, o)
		}
	}
	return all
}

// otherVersion is another version in which the copy holds objects of the same
// resource, "" if there is none: the two would not know of each other's writes.
// mu is held.
func (c *Copy) otherVersion(k kind) string {
	for have := range c.objects {
		if have.kind.group == k.group && have.kind.resource == k.resource && have.kind.version != k.version && c.objects[have] != nil {
			return have.kind.version
		}
	}
	return ""
}

// put stores what was written. mu is held.
func (c *Copy) put(k key, verb, by string, after object) {
	before := c.objects[k]
	if after != nil {
		c.version++
		set(after, strconv.FormatInt(c.version, 10), "metadata", "resourceVersion")
	}
	c.objects[k] = after
	c.writes = append(c.writes, Write{At: c.now(), By: by, Verb: verb, Object: k.String(), key: k, before: before, after: after})
}

// decode reads JSON as the API machinery does: whole numbers are int64.
func decode(raw []byte) (object, error) {
	var o object
	if err := utiljson.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	if text(o, "kind") == "" {
		return nil, errors.New("it is no object of Kubernetes")
	}
	return o, nil
}

// set sets a field; a path through something that is no object is left alone.
func set(o object, v any, path ...string) { _ = unstructured.SetNestedField(o, v, path...) }

// text is a field that is text, or "".
func text(o object, path ...string) string {
	s, _, _ := unstructured.NestedString(o, path...)
	return s
}
