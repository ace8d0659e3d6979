package kubeobject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// Same compares two states as their JSON reads: nil and empty are equal.
func Same[F any](a, b *F) bool {
	if a == nil || b == nil {
		return a == b
	}
	return reflect.DeepEqual(Plain(a), Plain(b))
}

// Plain is v as its JSON reads.
func Plain(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var out any
	_ = json.Unmarshal(raw, &out)
	return out
}

// JSON is v as JSON on one line, with < and > left readable.
func JSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// Occupied is the answer where something of noren's stands already.
func Occupied(name string) error {
	return &fault.Fault{Code: fault.Locked, Summary: "closed by another run",
		Detail: fmt.Sprintf("On %s there is a page that no run of this state directory put up.", name),
		Try:    []string{"noren leftovers"}, Err: action.ErrDrift}
}

// Drifted says which parts of the target are not as expected. name is as
// "ingress shop/web"; expected and found are states, nil where there is no
// target.
func Drifted[F any](name string, expected, found *F) error {
	f := &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: action.ErrDrift}
	switch {
	case found == nil:
		f.Detail = fmt.Sprintf("%s does not exist any more: someone else deleted it. Nothing was written.", name)
	case expected == nil:
		f.Detail = fmt.Sprintf("%s exists already and is not what noren would make: someone else created it. Nothing was written.", name)
	default:
		f.Detail = fmt.Sprintf("%s is not as noren left it: someone else changed %s. Nothing was written.",
			name, strings.Join(differences("", Plain(expected), Plain(found)), ", "))
	}
	f.Try = []string{Show(name)}
	return f
}

// differences lists the members in which two JSON values differ, two deep.
func differences(at string, a, b any) []string {
	x, okX := a.(map[string]any)
	y, okY := b.(map[string]any)
	if !okX || !okY || strings.Count(at, ".") > 0 {
		if reflect.DeepEqual(a, b) {
			return nil
		}
		return []string{at}
	}
	keys := maps.Clone(x)
	maps.Copy(keys, y)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		next := k
		if at != "" {
			next = at + "." + k
		}
		if !reflect.DeepEqual(x[k], y[k]) {
			inX, isX := x[k].(map[string]any)
			inY, isY := y[k].(map[string]any)
			if isX && isY {
				out = append(out, differences(next, inX, inY)...)
			} else {
				out = append(out, next)
			}
		}
	}
	return out
}
