package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/noren-dev/noren/internal/fault"
)

type ingressOptions struct {
	Strategy string `json:"strategy,omitempty" jsonschema:"enum=auto,enum=overlay,enum=patch,enum=backend" jsonschema_description:"How the Ingress is closed."`
}

type argoConfig struct {
	Namespace string `json:"namespace,omitempty"`
	Context   string `json:"context,omitempty"`
}

type workloadOptions struct {
	Replicas int `json:"replicas,omitempty"`
}

type silenceOptions struct {
	Matchers []string `json:"matchers" jsonschema:"required"`
}

func schemaBytes(t *testing.T) []byte {
	t.Helper()
	raw, err := Schema(
		map[string]any{"kube": &kubeConfig{}, "argocd": &argoConfig{}, "gate": nil, "http": (*struct {
			Resolve map[string]string `json:"resolve"`
		})(nil)},
		map[string]any{"kube/ingress": &ingressOptions{}, "gate/door": &struct{}{}},
		map[string]any{"kube/deployment": &workloadOptions{}, "kube/cronjob": &struct{}{}},
		map[string]any{"alertmanager/silence": &silenceOptions{}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaBytes(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("noren.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("noren.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func conform(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestSchemaAcceptsTheExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := conform(t, compiled(t), text); err != nil {
		t.Errorf("%#v", err)
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	head := "version: 1\nzone: UTC\nenvironments: {prod: {}}\n"
	for _, text := range []string{
		"zone: UTC\nenvironments: {}\n",
		"version: 2\nzone: UTC\nenvironments: {prod: {}}\n",
		head + "extra: 1\n",
		"version: 1\nzone: UTC\nenvironments: {prod: {kube: {contxt: a}}}\n",
		"version: 1\nzone: UTC\nenvironments: {prod: {kube: {}}}\n",
		"version: 1\nzone: UTC\nenvironments: {a b: {}}\n",
		head + "services: {shop: {entrances: [{kind: kube/ingres, name: a}]}}\n",
		head + "services: {shop: {entrances: [{kind: kube/ingress}]}}\n",
		head + "services: {shop: {entrances: [{kind: kube/ingress, name: a, strategy: hope}]}}\n",
		head + "services: {shop: {environments: {prod: {entrances: [{kind: gate/door, name: a, x: y}]}}}}\n",
		head + "services: {shop: {kind: apis}}\n",
		head + "services: {shop: {monitors: [{kind: alertmanager/silence, name: a}]}}\n",
		head + "services: {shop: {monitors: [{kind: alertmanager/silence, name: a, matchers: [b=c], onring: me}]}}\n",
	} {
		if conform(t, s, []byte(text)) == nil {
			t.Errorf("accepted:\n%s", text)
		}
	}
}

func TestSchemaGolden(t *testing.T) {
	t.Parallel()
	const path = "testdata/schema.json"
	got := schemaBytes(t)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("schema differs (-want +got):\n%s", d)
	}
}

// TestSchemaHasTheReadersKeys keeps the two lists of keys equal: each reader is
// asked for its keys by way of the fault for an unknown one.
func TestSchemaHasTheReadersKeys(t *testing.T) {
	t.Parallel()
	text := `version: 1
zone: UTC
qqqqqqqq: 1
page: {qqqqqqqq: 1}
keep: {qqqqqqqq: 1}
environments: {prod: {qqqqqqqq: 1, bypass: {qqqqqqqq: 1}}}
teams: {a: {qqqqqqqq: 1}}
services:
  shop: {qqqqqqqq: 1, page: {qqqqqqqq: 1}, environments: {prod: {qqqqqqqq: 1}}}
`
	_, err := Parse("x", []byte(text), known())
	var read [][]string
	for _, f := range fault.Of(err) {
		if _, keys, ok := strings.Cut(f.Detail, "Its keys are: "); ok {
			read = append(read, strings.Split(strings.TrimSuffix(keys, "."), ", "))
		}
	}
	var root map[string]any
	if err := json.Unmarshal(schemaBytes(t), &root); err != nil {
		t.Fatal(err)
	}
	paths := []string{"", "page", "keep", "environments/*", "environments/*/bypass", "teams/*", "services/*", "services/*/page", "services/*/environments/*"}
	if len(read) != len(paths) {
		t.Fatalf("%d readers spoke, want %d:\n%s", len(read), len(paths), render(err))
	}
	for i, path := range paths {
		want := keysAt(root, path)
		slices.Sort(read[i])
		if d := cmp.Diff(want, read[i]); d != "" {
			t.Errorf("%q (-schema +reader):\n%s", path, d)
		}
	}
}

func keysAt(s map[string]any, path string) []string {
	for _, step := range strings.Split(path, "/") {
		switch step {
		case "":
		case "*":
			s = s["additionalProperties"].(map[string]any)
		default:
			s = s["properties"].(map[string]any)[step].(map[string]any)
		}
	}
	var keys []string
	for k := range s["properties"].(map[string]any) {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Every key that a person writes has a description for the editor to show.
func TestSchemaDescribes(t *testing.T) {
	t.Parallel()
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		if props, ok := m["properties"].(map[string]any); ok {
			for name, p := range props {
				if d, _ := p.(map[string]any)["description"].(string); d == "" && !strings.Contains(path, "/environments/*/") {
					t.Errorf("%s/%s has no description", path, name)
				}
				walk(fmt.Sprintf("%s/%s", path, name), p)
			}
		}
		walk(path+"/*", m["additionalProperties"])
	}
	var root any
	if err := json.Unmarshal(schemaBytes(t), &root); err != nil {
		t.Fatal(err)
	}
	walk("", root)
}
