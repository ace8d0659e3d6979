package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// A Section is a part of the file that a driver decodes: JSON, and the places
// that its values were written at. The zero Section is empty.
type Section struct {
	JSON json.RawMessage

	source *source
	root   *node
}

func newSection(s *source, n *node) Section {
	var b bytes.Buffer
	writeJSON(&b, n)
	return Section{JSON: b.Bytes(), source: s, root: n}
}

// writeJSON writes a tree in the order of the file. A tree has no value that
// JSON lacks.
func writeJSON(b *bytes.Buffer, n *node) {
	switch n.shape {
	case mapping:
		b.WriteByte('{')
		for i, e := range n.entries {
			if i > 0 {
				b.WriteByte(',')
			}
			key, _ := json.Marshal(e.key)
			b.Write(key)
			b.WriteByte(':')
			writeJSON(b, e.value)
		}
		b.WriteByte('}')
	case list:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	default:
		v, err := json.Marshal(n.value)
		if err != nil || n.shape == null {
			v = []byte("null")
		}
		b.Write(v)
	}
}

// At returns where the value at a path of keys (or of indexes, from "0") is
// written: the key's place, or an item's. If the path leaves the section, it
// is the deepest place on the way.
func (s Section) At(path ...string) fault.Position {
	if s.root == nil {
		return fault.Position{}
	}
	at, _ := s.root.follow(path)
	return s.source.position(at)
}

func (n *node) follow(path []string) (at spot, all bool) {
	at = n.spot
	for _, step := range path {
		if e := n.get(step); e != nil {
			at, n = e.spot, e.value
			continue
		}
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(n.items) {
			return at, false
		}
		n = n.items[i]
		at = n.spot
	}
	return at, true
}

// Fault turns the error of decoding or validating the section into a fault
// that points at the key it is about. key is the key's name, or keys joined by
// dots; if it is empty, the key is taken from the error. known are the
// keys that the section itself can have, for a suggestion. Joined errors become joined
// faults. Faults with a position stay as they are.
func (s Section) Fault(key string, err error, known ...string) error {
	if err == nil {
		return nil
	}
	var parts interface{ Unwrap() []error }
	if errors.As(err, &parts) && key == "" {
		var all []error
		for _, e := range parts.Unwrap() {
			all = append(all, s.Fault("", e, known...))
		}
		return errors.Join(all...)
	}
	var placed *fault.Fault
	if errors.As(err, &placed) && placed.At != nil {
		return err
	}
	if placed != nil { // a driver's own words, which only lack the place
		f := *placed
		if s.root != nil {
			at := s.source.position(s.find(key, err))
			f.At = &at
		}
		return &f
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "value cannot be used", Detail: capital(err.Error()) + ".", Err: err}
	var of interface{ Key() string }
	if errors.As(err, &of) && s.root != nil { // an error that knows its key, also one that is missing
		f.Detail = err.Error() + "." // it begins with the key, which is no word to be capitalized
		at, _ := s.root.follow(strings.Split(of.Key(), "."))
		placed := s.source.position(at)
		f.At = &placed
		return f
	}
	key, path := s.word(f, key, err, known)
	if s.root != nil {
		where := s.find(key, err)
		if path != nil {
			where, _ = s.root.follow(path)
		}
		at := s.source.position(where)
		f.At = &at
	}
	return f
}

// word says what is wrong with a key that cannot be decoded, and returns its name
// and, where the error knows that, its path.
func (s Section) word(f *fault.Fault, key string, err error, known []string) (_ string, path []string) {
	var exact interface { // an error of decoding that knows its place
		Path() []string
		Known() []string
	}
	if errors.As(err, &exact) && s.root != nil {
		path, known = exact.Path(), exact.Known()
	}
	var wrong *json.UnmarshalTypeError
	unknown := unknownField(err)
	switch {
	case unknown != "":
		key = unknown
		f.Summary, f.Detail = "unknown key", fmt.Sprintf("%q is not a key here.", unknown)
		if s.root != nil && (path != nil || s.root.get(unknown) != nil) && len(known) > 0 {
			f.Detail = fmt.Sprintf("%q is not a key here%s", unknown, didYouMean(unknown, known))
			f.Detail += " Its keys are: " + strings.Join(known, ", ") + "."
		}
	case errors.As(err, &wrong):
		if key == "" {
			key = wrong.Field
		}
		f.Summary, f.Detail = "value of the wrong type", fmt.Sprintf("%q must be %s, and this is %s.", key, typeWords(wrong.Type), jsonWords(wrong.Value))
		if wrong.Type.Kind() == reflect.String && strings.HasPrefix(wrong.Value, "number") {
			f.Detail += " Put it in quotes."
		}
	}
	return key, path
}

// find returns the place of a key: by its path, else wherever in the section a
// key has that name, else of the key that the error's text names, else of the
// section itself.
func (s Section) find(key string, err error) spot {
	if key != "" {
		if at, ok := s.root.follow([]string{key}); ok {
			return at
		}
		if at, ok := s.root.follow(strings.Split(key, ".")); ok {
			return at
		}
		last := key[strings.LastIndexByte(key, '.')+1:]
		if at, ok := s.root.search(func(k string) bool { return k == last }); ok {
			return at
		}
	}
	words := strings.FieldsFunc(err.Error(), func(c rune) bool { return strings.ContainsRune(" \"'`:,;()", c) })
	at, ok := s.root.search(func(k string) bool {
		for _, w := range words {
			if w == k {
				return true
			}
		}
		return false
	})
	if !ok {
		return s.root.spot
	}
	return at
}

// search returns the place of the first key, level by level, that is meant.
func (n *node) search(meant func(key string) bool) (spot, bool) {
	level := []*node{n}
	for budget := maxWeight; len(level) > 0 && budget > 0; {
		var next []*node
		for _, n := range level {
			budget -= 1 + len(n.entries) + len(n.items)
			for _, e := range n.entries {
				if meant(e.key) {
					return e.spot, true
				}
				next = append(next, e.value)
			}
			next = append(next, n.items...)
		}
		level = next
	}
	return spot{}, false
}

// unknownField returns the key that encoding/json refused, or "". The package
// has no type for this error, and its text is the only way.
func unknownField(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		rest, ok := strings.CutPrefix(err.Error(), "json: unknown field ")
		if name, bad := strconv.Unquote(rest); ok && bad == nil {
			return name
		}
	}
	return ""
}

// jsonWords words what encoding/json says that it found, such as "number 1.5".
func jsonWords(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	for word, s := range map[string]shape{"string": text, "number": number, "bool": boolean, "array": list, "object": mapping} {
		if kind == word {
			return s.String()
		}
	}
	return value
}

func typeWords(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}
