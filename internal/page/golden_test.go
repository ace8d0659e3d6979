package page

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

var tokyo = time.FixedZone("JST", 9*60*60)

const testMark = "01kaq7m3w2x5y8z4t6r9v0s1nb"

func sample(tags ...string) Content {
	return Content{
		Languages: tags,
		Until:     time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC),
		Zone:      tokyo,
		Contact:   "help@example.com",
		Mark:      testMark,
	}
}

var typical = map[string]string{
	"ja": "データベースの更新作業のため、サービスを停止しています。ご迷惑をおかけし、申し訳ございません。",
	"en": "We are upgrading our database. Sorry for the inconvenience.",
}

var star = []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#2b4a78" d="M12 2l3 7h7l-6 5 2 8-6-5-6 5 2-8-6-5h7z"/></svg>`)

// goldens are pages as they leave noren, for review in a diff and in a browser.
var goldens = []struct {
	name    string
	content func() Content
	budget  int
}{
	{"default-ja", func() Content { return sample("ja") }, ALBLimit},
	{"default-en", func() Content { return sample("en") }, ALBLimit},
	{"default-ja-en", func() Content { return sample("ja", "en") }, ALBLimit},
	{"default-ja-en-unknown", func() Content {
		c := sample("ja", "en")
		c.Until, c.Contact = time.Time{}, ""
		return c
	}, ALBLimit},
	{"typical-ja-en", func() Content {
		c := sample("ja", "en")
		c.Message = typical
		return c
	}, ALBLimit},
	{"logo-ja", func() Content {
		c := sample("ja")
		c.Logo = star
		return c
	}, ALBLimit},
	{"everything", func() Content {
		c := sample("en", "ja", "he")
		c.Logo, c.Message = star, map[string]string{"en": "One line & <another>.\nA second line.", "he": "נחזור בקרוב."}
		c.Title = map[string]string{"en": "The shop is closed tonight for planned work on its database", "he": "סגור לתחזוקה"}
		c.Contact = "https://status.example.com/a/rather/long/path/to/the/incident?id=1234567890&lang=ja"
		return c
	}, Unlimited},
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, g := range goldens {
		html, err := HTML(g.content(), g.budget)
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		twin, err := JSON(g.content(), g.budget)
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		t.Logf("%s: HTML %d bytes %q, JSON %d bytes", g.name, len(html.Body), html.Notes, len(twin.Body))
		compare(t, g.name+".html", html.Body)
		compare(t, g.name+".json", twin.Body)
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update rewrites it)\n got: %s\nwant: %s", name, got, want)
	}
}
