package catalog

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/noren-dev/noren/internal/fault"
)

func draft() Draft {
	return Draft{
		Zone: "Asia/Tokyo",
		Environments: []DraftEnvironment{
			{Name: "sandbox", Drivers: map[string]map[string]any{"kube": {"context": "sandbox"}}},
			{Name: "prod", Protected: true, Drivers: map[string]map[string]any{
				"kube": {"context": "arn:aws:eks:ap-northeast-1:1:cluster/prod", "qps": 50}, "argocd": {"namespace": "argocd"}}},
		},
		Teams: []string{"storefront"},
		Services: []DraftService{
			{Name: "shop", Team: "storefront", Health: []string{"https://shop.example.com/healthz?x=1&y"},
				KeepOpen: []string{"/.well-known/acme-challenge/*"},
				Entrances: []DraftEntrance{{Kind: "kube/ingress", Name: "shop/web", Hosts: []string{"shop.example.com", "www.example.com"},
					Class: "AWS Load Balancer Controller (group shared)", Options: map[string]any{"strategy": "auto"}}},
				Notes: []string{"Argo CD keeps it: argocd/shop.", "Asks for a login\nbefore the page."}},
			{Name: "api", Team: "payments", API: true, Only: []string{"prod"},
				Entrances: []DraftEntrance{{Kind: "gate/door", Name: "api"}}},
		},
	}
}

func TestWriteGolden(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := Write(&b, draft()); err != nil {
		t.Fatal(render(err))
	}
	const path = "testdata/draft.yaml"
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("draft differs (-want +got):\n%s", d)
	}
	c, err := Parse(FileName, b.Bytes(), known())
	if err != nil {
		t.Fatal(render(err))
	}
	prod, err := c.Services("prod")
	if err != nil || len(prod) != 2 || prod[0].Team != "storefront" || prod[1].Kind != API || len(c.Teams) != 2 {
		t.Errorf("services %+v, teams %+v, %v", prod, c.Teams, err)
	}
	if err := conform(t, compiled(t), b.Bytes()); err != nil {
		t.Errorf("what is written does not conform to the schema: %#v", err)
	}
}

func TestWriteRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	d := draft()
	d.Services[1].Name = "no/name"
	d.Services[1].Only = []string{"qa"}
	var b bytes.Buffer
	err := Write(&b, d)
	if b.Len() != 0 || len(fault.Of(err)) != 2 {
		t.Errorf("wrote %d bytes, got %s", b.Len(), render(err))
	}
	if err := Write(&b, Draft{}); err == nil {
		t.Error("a draft of nothing was written")
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"shop": "shop", "shop/web": "shop-web", "Shop Web!": "Shop-Web", "決済": "", "-a-": "a", "決済 api": "api",
		strings.Repeat("a", 80): strings.Repeat("a", 63)} {
		if got := Name(in); got != want {
			t.Errorf("Name(%q) is %q, want %q", in, got, want)
		}
	}
}

// Whatever text and values a driver found, they are read back as they were.
func TestPropertyWriteRoundTrip(t *testing.T) {
	t.Parallel()
	word := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,12}`),
		rapid.SampledFrom([]string{"", "null", "~", "true", "No", "1", "1.5", "0x1f", "a: b", "a:b", "#x", "x #y", "- a", "*a", "&a", "!a", "%a", "@a", "{", "[a]", "a,b",
			"\u2028", "\u0085", "\x7f", "\t", " a ", "https://a.example/b?c=d", "::1", "<<", "=", "日本", "😀", "|", ">", "'", `"`, `\`, "a\nb", "2026-01-01", "-", "?", "--- a", "...", ".inf", "/a*"}))
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Map(word, func(s string) any { return s }), rapid.Map(rapid.Int64(), func(i int64) any { return i }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(rapid.SliceOfN(word, 0, 3), func(l []string) any { return l }),
			rapid.Map(rapid.MapOfN(word, word, 0, 3), func(m map[string]string) any { return m }))
		d := draft()
		config := rapid.MapOfN(word, value, 0, 4).Draw(t, "config")
		name := word.Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, "entrance")
		d.Environments[0].Drivers["kube"] = config
		d.Services[0].Entrances[0].Name = name
		d.Services[0].Entrances[0].Class = word.Draw(t, "class")
		d.Services[0].Notes = []string{word.Draw(t, "note")}
		d.Services[0].Team = word.Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, "team")
		var b bytes.Buffer
		if err := Write(&b, d); err != nil {
			t.Fatalf("%s\n%s", render(err), b.String())
		}
		c, err := Parse(FileName, b.Bytes(), known())
		if err != nil {
			t.Fatal(render(err))
		}
		want, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(decoded(t, want), decoded(t, c.Environments[0].Drivers["kube"].JSON)); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, b.String())
		}
		s, err := c.Services("sandbox", "shop")
		if err != nil || s[0].Entrances[0].Name != name || s[0].Team != d.Services[0].Team {
			t.Fatalf("got %+v, %v, want %q of %q\n%s", s, err, name, d.Services[0].Team, b.String())
		}
	})
}

func decoded(t *rapid.T, raw []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return v
}
