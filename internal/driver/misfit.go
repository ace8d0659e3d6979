package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A misfit is an error of decoding that knows its place: encoding/json names a
// key of a mapping in a mapping by its last name alone, and a wrong value by a
// path without the keys of maps.
type misfit struct {
	path  []string
	known []string // keys that could stand there
	err   error
}

// Error implements error.
func (m *misfit) Error() string { return m.err.Error() }

// Unwrap returns the error as encoding/json words it.
func (m *misfit) Unwrap() error { return m.err }

// Path is where it is: keys, and indexes from "0".
func (m *misfit) Path() []string { return m.path }

// Known are the keys that could stand there, where a key is unknown.
func (m *misfit) Known() []string { return m.known }

// placed gives an error of decoding raw into a value its place, if that is found.
func placed(raw json.RawMessage, into any, err error) error {
	if m := misfitOf(raw, reflect.TypeOf(into), nil); m != nil {
		return m
	}
	return err
}

// misfitOf is the first part of raw, in its order, that does not fit a type, or nil.
func misfitOf(raw json.RawMessage, t reflect.Type, path []string) *misfit {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	inside := !own && (t.Kind() == reflect.Struct || t.Kind() == reflect.Map || t.Kind() == reflect.Slice)
	if dec := json.NewDecoder(bytes.NewReader(raw)); inside {
		start, err := dec.Token()
		if brace, ok := start.(json.Delim); err == nil && ok && (brace == '[') == (t.Kind() == reflect.Slice) {
			return misfitInside(dec, t, path)
		}
	}
	err := json.Unmarshal(raw, reflect.New(t).Interface())
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return nil
	}
	wrong.Field = strings.Join(path, ".")
	return &misfit{path: path, err: err}
}

// misfitInside looks at what is in a mapping or a list that dec has entered.
func misfitInside(dec *json.Decoder, t reflect.Type, path []string) *misfit {
	for i := 0; dec.More(); i++ {
		key := strconv.Itoa(i)
		if t.Kind() != reflect.Slice {
			name, _ := dec.Token() // raw has been read as JSON before
			key, _ = name.(string)
		}
		at := slices.Concat(path, []string{key})
		var of reflect.Type
		if t.Kind() != reflect.Struct {
			of = t.Elem()
		} else if of = fieldType(t, key); of == nil {
			return &misfit{path: at, known: Keys(reflect.New(t).Interface()), err: fmt.Errorf("json: unknown field %q", key)}
		}
		var value json.RawMessage
		_ = dec.Decode(&value)
		if m := misfitOf(value, of, at); m != nil {
			return m
		}
	}
	return nil
}

// fieldType is the type of the field that a key is decoded into, nil if there is
// none. As encoding/json does, it does not mind the case of letters.
func fieldType(t reflect.Type, key string) reflect.Type {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if f.IsExported() && !f.Anonymous && name != "-" && strings.EqualFold(name, key) {
			return f.Type
		}
	}
	return nil
}
