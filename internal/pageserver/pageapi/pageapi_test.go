package pageapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

func closedPage(mark string, hosts ...string) pageapi.Page {
	header := map[string]string{"Retry-After": "Tue, 24 Nov 2026 18:00:00 GMT"}
	return pageapi.Page{Hosts: hosts, Response: edge.Response{Status: 503, ContentType: "text/html; charset=utf-8", Body: "<p>closed</p>", Header: header, Mark: mark,
		Twin: &edge.Twin{ContentType: "application/problem+json", Body: `{"noren":"` + mark + `"}`}}}
}

func TestFilesAreReadAsTheyWereWritten(t *testing.T) {
	for name, want := range map[string]pageapi.Page{
		"both":      closedPage("m-1", "shop.example.com", "*.example.com"),
		"any host":  closedPage("m-1"),
		"with path": {Hosts: []string{"a"}, Paths: []string{"/api"}, Response: edge.Response{Status: 503, ContentType: "application/problem+json", Body: "{}", Mark: "m"}},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := want.Files()
			if err != nil {
				t.Fatal(err)
			}
			again, _ := want.Files()
			if pageapi.Digest(files) != pageapi.Digest(again) {
				t.Error("the same page has files of another digest")
			}
			got, err := pageapi.Parse(files, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestAFolderNeedsNoPageJSON(t *testing.T) {
	got, err := pageapi.Parse(map[string]string{"closed.html": "<p>closed", "README": "x"}, func(string) string { return "m-2" })
	if err != nil || got.Response.Status != 503 || got.Response.Mark != "m-2" || !strings.HasPrefix(got.Response.ContentType, "text/html") {
		t.Errorf("got %+v (%v)", got, err)
	}
}

func TestWhatIsNoPageIsRefused(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no body":         {"page.json": `{"version":1}`},
		"no JSON":         {"page.json": `{`, "closed.html": "x"},
		"a newer version": {"page.json": `{"version":2}`, "closed.html": "x"},
		"success":         {"page.json": `{"version":1,"status":200}`, "closed.html": "x"},
		"a redirect":      {"page.json": `{"version":1,"status":302}`, "closed.html": "x"},
	} {
		if got, err := pageapi.Parse(files, nil); err == nil {
			t.Errorf("%s: taken for %+v", name, got)
		}
	}
}

func TestChoose(t *testing.T) {
	named := func(mark string, hosts []string, paths ...string) pageapi.Page {
		return pageapi.Page{Hosts: hosts, Paths: paths, Response: edge.Response{Mark: mark}}
	}
	pages := []pageapi.Page{
		named("web", []string{"shop.example.com"}, "/"),
		named("api", []string{"shop.example.com"}, "/api"),
		named("wide", []string{"*.example.com"}),
		named("wider", []string{"*.com"}),
		named("only", []string{"one.example.com"}, "/one"),
	}
	for _, c := range []struct{ host, path, want string }{
		{"shop.example.com", "/", "web"}, {"SHOP.example.com", "/cart", "web"}, {"shop.example.com", "/api", "api"},
		{"shop.example.com", "/api/v1", "api"}, {"shop.example.com", "/apiary", "web"},
		{"x.example.com", "/", "wide"}, {"a.b.example.com", "/", "wide"}, {"example.com", "/", "wider"},
		{"one.example.com", "/one", "only"}, {"one.example.com", "/rewritten", "only"},
		{"example.org", "/", ""}, {"", "/", ""}, {".example.com", "/", "wider"},
	} {
		got := ""
		if p := pageapi.Choose(pages, c.host, c.path); p != nil {
			got = p.Response.Mark
		}
		if got != c.want {
			t.Errorf("%s%s: %q, want %q", c.host, c.path, got, c.want)
		}
	}
	if p := pageapi.Choose(append(pages, named("any", nil)), "example.org", "/"); p == nil || p.Response.Mark != "any" {
		t.Errorf("a host that no page names: %+v", p)
	}
}
