package kube

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// Resources, as kubectl writes them.
const (
	ingresses          = "ingresses.networking.k8s.io"
	ingressClasses     = "ingressclasses.networking.k8s.io"
	ingressClassParams = "ingressclassparams.elbv2.k8s.aws"
	endpointSlices     = "endpointslices.discovery.k8s.io"
	events             = "events"
	services           = "services"
)

// onlyKeys are the entries of m whose keys are in keys.
func onlyKeys(m, keys map[string]string) map[string]string {
	var out map[string]string
	for k := range keys {
		if v, ok := m[k]; ok {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// same compares two states as their JSON reads: nil and empty are equal.
func same[F any](a, b *F) bool {
	if a == nil || b == nil {
		return a == b
	}
	return reflect.DeepEqual(plain(a), plain(b))
}

func plain(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var out any
	_ = json.Unmarshal(raw, &out)
	return out
}

// occupied is the answer where something of noren's stands already.
func occupied(name string) error {
	return &fault.Fault{Code: fault.Locked, Summary: "closed by another run",
		Detail: fmt.Sprintf("On %s there is a page that no run of this state directory put up.", name),
		Try:    []string{"noren leftovers"}, Err: action.ErrDrift}
}

// drifted says which parts of the target are not as expected. expected and
// found are states, nil where there is no target.
func drifted[F any](name string, expected, found *F) error {
	f := &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: action.ErrDrift}
	switch {
	case found == nil:
		f.Detail = fmt.Sprintf("%s does not exist any more: someone else deleted it. Nothing was written.", name)
	case expected == nil:
		f.Detail = fmt.Sprintf("%s exists already and is not what noren would make: someone else created it. Nothing was written.", name)
	default:
		f.Detail = fmt.Sprintf("%s is not as noren left it: someone else changed %s. Nothing was written.",
			name, strings.Join(differences("", plain(expected), plain(found)), ", "))
	}
	f.Try = []string{kubectlShow(name)}
	return f
}

// kubectlShow turns "ingress shop/web" into the command that shows it.
func kubectlShow(name string) string {
	kind, key, _ := strings.Cut(name, " ")
	namespace, object, _ := strings.Cut(key, "/")
	return fmt.Sprintf("kubectl -n %s get %s %s -o yaml", namespace, kind, object)
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

// manifest shows an Ingress, or noren's part of one, as YAML. Passes are
// replaced by dots.
func manifest(namespace, name string, labels, annotations map[string]string, spec networkingv1.IngressSpec) string {
	metadata := map[string]any{"namespace": namespace, "name": name}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	object := map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": plain(spec)}
	out, err := yaml.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return redact(string(out))
}

// secrets match a pass in the JSON of a condition: the value of the pass's
// header, and what follows the name of its cookie.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`("httpHeaderName":"` + edge.PassHeader + `","values":\[")[^"]*(")`),
	regexp.MustCompile(`(` + edge.PassCookie + `=)[^*"]*(\*?")`),
}

func redact(text string) string {
	for _, s := range secrets {
		text = s.ReplaceAllString(text, "${1}•••${2}")
	}
	return text
}

// jsonText is v as JSON on one line, with < and > left readable.
func jsonText(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

const maxName = 63

// objectName is "noren-<ingress>-<part>", shortened by a digest where it would
// be longer than a DNS label, which some tools expect.
func objectName(ingress, part string) string {
	name := "noren-" + ingress + "-" + part
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "-" + hex.EncodeToString(sum[:4]) + "-" + part
	return strings.TrimRight(name[:maxName-len(tail)], "-.") + tail
}

// markForm finds noren's token in a page, HTML or JSON. It reads only what
// package page writes.
var markForm = []*regexp.Regexp{
	regexp.MustCompile(`(?i)<meta\s+name=["']?noren["']?\s+content=["']?([A-Za-z0-9._-]{1,64})`),
	regexp.MustCompile(`"noren"\s*:\s*"([A-Za-z0-9._-]{1,64})"`),
}

func markIn(body string) string {
	for _, form := range markForm {
		if m := form.FindStringSubmatch(body); m != nil {
			return m[1]
		}
	}
	return ""
}
