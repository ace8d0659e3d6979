package catalog

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

var update = flag.Bool("update", false, "write what is got into the golden files")

func known() Known {
	return Known{EntranceKinds: []string{"kube/ingress", "gate/door"}, WorkloadKinds: []string{"kube/deployment", "kube/cronjob"}, MonitorKinds: []string{"alertmanager/silence"}, Drivers: []string{"kube", "argocd", "gate", "http"}}
}

// render writes faults as a terminal would, plainly.
func render(err error) string {
	var b strings.Builder
	for _, f := range fault.Of(err) {
		if f.At == nil {
			fmt.Fprintf(&b, "nowhere: %s\n", f.Summary)
		} else {
			caret := strings.Repeat(" ", min(f.At.Column, 100)-1) + "^"
			fmt.Fprintf(&b, "%s: %s\n  | %s\n  | %s\n", f.At, f.Summary, f.At.Excerpt, caret)
		}
		fmt.Fprintf(&b, "  %s\n", f.Detail)
		for _, t := range f.Try {
			fmt.Fprintf(&b, "  try: %s\n", strings.ReplaceAll(t, "\n", "\n       "))
		}
	}
	return b.String()
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse("noren.yaml", a.Files[0].Data, known())
			if err == nil || c != nil {
				t.Fatalf("Parse gave %v and the error %v, want an error alone", c, err)
			}
			got := render(err)
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(a.Files) != 2 {
				t.Fatal("no want: run with -update")
			}
			if d := cmp.Diff(string(a.Files[1].Data), got); d != "" {
				t.Errorf("faults differ (-want +got):\n%s", d)
			}
			checkFaults(t, err)
		})
	}
}

// checkFaults checks what holds of every error of Parse.
func checkFaults(t *testing.T, err error) {
	t.Helper()
	for _, f := range fault.Of(err) {
		switch {
		case f.Code != fault.Invalid:
			t.Errorf("code %s, want invalid: %v", f.Code, f)
		case f.At == nil || f.At.Line < 1 || f.At.Column < 1 || f.At.File == "":
			t.Errorf("no position: %v", f)
		case f.Summary == "" || f.Detail == "":
			t.Errorf("fault without words: %#v", f)
		case strings.Contains(f.At.Excerpt, "\n"):
			t.Errorf("excerpt of more than a line: %q", f.At.Excerpt)
		}
	}
}

func TestBadBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, summary, at string }{
		"latin-1":    {"version: 1\nzone: caf\xe9\n", "file is not UTF-8", "x:2:10"},
		"utf-16":     {"\xff\xfev\x00", "file is not UTF-8", "x:1:1"},
		"zero byte":  {"version: 1\nzone: \x00\n", "file is not text", "x:2:1"},
		"over 1 MiB": {strings.Repeat("# comment\n", 1<<17), "file is too large", "x:1:1"},
		"too many":   {"version: 1\n" + strings.Repeat("a: b\n", maxKeys+10), "file is too large", fmt.Sprintf("x:%d:2", maxKeys+1)},
		"dashes":     {strings.Repeat("- ", 5000) + "x", "file is too large", "x:1:203"},
		"flow":       {strings.Repeat("{a: ", 5000), "file is too large", "x:1:201"},
		"flow lists": {strings.Repeat("[a,", 5000), "file is too large", "x:1:151"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("x", []byte(c.in), known())
			checkFaults(t, err)
			f := fault.Of(err)
			if len(f) != 1 || f[0].Summary != c.summary || c.at != "" && f[0].At.String() != c.at {
				t.Errorf("got %.300s, want %s at %s", render(err), c.summary, c.at)
			}
		})
	}
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// A file within the limits is read in the stack that there is.
func TestDeepBlocks(t *testing.T) {
	t.Parallel()
	_, err := Parse("x", []byte("environments:\n  prod:\n    kube:\n"+strings.ReplaceAll(deepBlock(1300), "\n", "\n     ")), known())
	checkFaults(t, err)
}

func TestByteOrderMarkAndCarriageReturns(t *testing.T) {
	t.Parallel()
	in := "\uFEFFversion: 1\r\nzone: UTC\r\nenvironments: {prod: {}}\r\n"
	if _, err := Parse("x", []byte(in), known()); err != nil {
		t.Error(err)
	}
}

// In brackets, too, a colon makes a mapping only before a space.
func TestColonsInBrackets(t *testing.T) {
	t.Parallel()
	c, err := Parse("x", []byte(`version: 1
zone: UTC
environments: {prod: {gate: {admins: [http://127.0.0.1:7070, "http://a:1", https://b.example:8443/x y, {a: b}, a: b]}}}
`), known())
	if err != nil {
		t.Fatal(render(err))
	}
	want := `{"admins":["http://127.0.0.1:7070","http://a:1","https://b.example:8443/x y",{"a":"b"},{"a":"b"}]}`
	if got := string(c.Environments[0].Drivers["gate"].JSON); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func load(t *testing.T) *Catalog {
	t.Helper()
	c, err := Load("testdata/full.yaml", known())
	if err != nil {
		t.Fatal(render(err))
	}
	return c
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	c := load(t)
	if c.Zone.String() != "Asia/Tokyo" || len(c.Environments) != 2 || c.Environments[0].Name != "sandbox" {
		t.Errorf("zone %v, environments %v", c.Zone, c.Environments)
	}
	prod, err := c.Environment("prod")
	if err != nil {
		t.Fatal(err)
	}
	if !prod.Protected || prod.At.Line != 18 {
		t.Errorf("protected %v at %v", prod.Protected, prod.At)
	}
	want := Bypass{Pass: true, Sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8::/32")}}
	if d := cmp.Diff(want, prod.Bypass, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
	got := map[string]string{}
	for name, raw := range prod.Configs() {
		got[name] = string(raw)
	}
	if d := cmp.Diff(map[string]string{
		"kube":   `{"context":"prod-tokyo"}`,
		"argocd": `{"namespace":"argocd","context":"prod-tokyo"}`,
		"gate":   `{"admin":"http://127.0.0.1:7070"}`,
		"http":   `{"resolve":{"shop.example.com:443":"10.0.0.1:443"}}`,
	}, got); d != "" {
		t.Error(d)
	}
	_, err = c.Environment("prd")
	f := fault.Of(err)[0]
	if f.At != nil || !strings.Contains(f.Detail, `Did you mean "prod"? It has: sandbox, prod.`) || f.Try[0] != "--env prod" {
		t.Errorf("got %+v", f)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	c := load(t)
	prod, err := c.Services("prod")
	if err != nil || len(prod) != 2 {
		t.Fatal(prod, err)
	}
	shop, pay := prod[0], prod[1]
	if shop.Name != "shop" || shop.Team != "storefront" || shop.Kind != Web || shop.Mode != edge.Closed {
		t.Errorf("shop is %+v", shop)
	}
	if d := cmp.Diff([]string{"/.well-known/acme-challenge/*", "/webhooks/payment/*"}, shop.KeepOpen); d != "" {
		t.Error(d)
	}
	e := shop.Entrances[0]
	if e.Kind != "kube/ingress" || e.Name != "shop/web" || string(e.Options.JSON) != `{"strategy":"auto"}` || e.At.Line != 35 {
		t.Errorf("entrance is %+v", e)
	}
	if at := e.Options.At("strategy"); at.Line != 37 || at.Column != 9 {
		t.Errorf("strategy is at %v", at)
	}
	if pay.Kind != API || pay.Mode != edge.Paths || len(pay.Paths) != 1 || string(pay.Entrances[0].Options.JSON) != "{}" {
		t.Errorf("pay is %+v", pay)
	}
	sandbox, err := c.Services("sandbox")
	if err != nil || len(sandbox) != 1 {
		t.Fatal(sandbox, err)
	}
	s := sandbox[0]
	if s.Health[0] != "https://shop.sandbox.example.com/healthz" || len(s.KeepOpen) != 0 || s.Mode != edge.ReadOnly || len(s.Entrances) != 1 {
		t.Errorf("shop in sandbox is %+v", s)
	}
	if at := s.HealthAt(s.Health[0]); at.Line != 48 || at.Column != 18 {
		t.Errorf("health is at %v", at)
	}
}

func TestServicesByName(t *testing.T) {
	t.Parallel()
	c := load(t)
	got, err := c.Services("prod", "pay", "shop", "pay")
	if err != nil || len(got) != 2 || got[0].Name != "shop" {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = c.Services("sandbox", "shpo", "pay", "nothing")
	want := `nowhere: unknown service
  testdata/full.yaml has no service "shpo" in sandbox. Did you mean "shop"? sandbox has: shop.
testdata/full.yaml:51:3: service is not in this environment
  |   pay:
  |   ^
  The service pay is not in sandbox: it is only in prod.
nowhere: unknown service
  testdata/full.yaml has no service "nothing" in sandbox. sandbox has: shop.
`
	if d := cmp.Diff(want, render(err)); d != "" {
		t.Error(d)
	}
	if _, err := c.Services("nowhere"); err == nil {
		t.Error("no error for an unknown environment")
	}
}

func TestPageIsMerged(t *testing.T) {
	t.Parallel()
	c := load(t)
	services, err := c.Services("prod", "shop")
	if err != nil {
		t.Fatal(err)
	}
	p := services[0].Page
	if d := cmp.Diff(map[string]string{"ja": "ただいまメンテナンス中です", "en": "The shop is closed"}, p.Title); d != "" {
		t.Error(d)
	}
	if c.Page.Title["en"] != "We'll be right back" {
		t.Error("the catalog's page was changed by a service's")
	}
	if p.Contact != "https://help.example.com/" || p.Logo != "logo.svg" || p.Message["ja"] != "しばらくお待ちください。\nご迷惑をおかけします。\n" {
		t.Errorf("page is %+v", p)
	}
	logo, err := p.ReadLogo()
	if err != nil || !strings.HasPrefix(string(logo), "<svg") {
		t.Errorf("logo is %q, %v", logo, err)
	}
	_, err = p.ReadTemplate()
	f := fault.Of(err)[0]
	if f.At == nil || f.At.Line != 14 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want a fault at line 14", err)
	}
	if data, err := (Page{}).ReadLogo(); data != nil || err != nil {
		t.Errorf("no logo gave %q, %v", data, err)
	}
}

func TestFind(t *testing.T) {
	t.Setenv(PathVariable, "")
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Find(deep)
	if f := fault.Of(err)[0]; f.Code != fault.NotFound || f.Try[0] != "noren init" {
		t.Errorf("got %v", err)
	}
	want := filepath.Join(dir, FileName)
	if err := os.WriteFile(want, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(deep); got != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	t.Setenv(PathVariable, filepath.Join(dir, "other.yaml"))
	_, err = Find(deep)
	if f := fault.Of(err)[0]; f.Code != fault.NotFound || !strings.Contains(f.Detail, "$NOREN_CONFIG") {
		t.Errorf("got %v", err)
	}
	t.Setenv(PathVariable, want)
	if got, err := Find("/"); got != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestLoadWhatIsNoFile(t *testing.T) {
	t.Parallel()
	_, err := Load(filepath.Join(t.TempDir(), "no.yaml"), known())
	if f := fault.Of(err)[0]; f.Code != fault.NotFound {
		t.Errorf("missing file: %v", err)
	}
	_, err = Load(t.TempDir(), known())
	if f := fault.Of(err)[0]; f.Code != fault.Invalid {
		t.Errorf("directory: %v", err)
	}
}

// TestSharedEntrance: services share a load balancer by the options of their
// entrances; the same part is not listed twice, and no service has two.
func TestSharedEntrance(t *testing.T) {
	t.Parallel()
	shares := known()
	shares.EntranceKinds = append(shares.EntranceKinds, "aws/alb")
	shares.SharedKinds = []string{"aws/alb"}
	parse := func(one, two string) error {
		_, err := Parse("noren.yaml", fmt.Appendf(nil, `version: 1
zone: UTC
environments: {prod: {gate: {}}}
services:
  shop: {kind: web, entrances: [%s]}
  blog: {kind: web, entrances: [%s]}
`, one, two), shares)
		return err
	}
	const front = "{kind: aws/alb, name: front, hosts: [%s]}"
	shop, blog := fmt.Sprintf(front, "shop.example.com"), fmt.Sprintf(front, "blog.example.com")
	if err := parse(shop, blog); err != nil {
		t.Errorf("two parts: %v", err)
	}
	for name, err := range map[string]error{"the same part": parse(shop, shop), "two of one service": parse(shop+", "+blog, "{kind: gate/door, name: blog}"),
		"of a kind that is not shared": parse("{kind: gate/door, name: front, a: 1}", "{kind: gate/door, name: front, a: 2}")} {
		if err == nil || !strings.Contains(err.Error(), "listed twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
