package catalog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.txtar")
	for _, path := range files {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("noren.yaml", data, known())
		if (c == nil) == (err == nil) {
			t.Fatalf("catalog %v and error %v", c, err)
		}
		if err != nil {
			checkFaults(t, err)
			return
		}
		for _, e := range c.Environments {
			if _, err := c.Services(e.Name); err != nil {
				t.Error(err)
			}
			for name, raw := range e.Configs() {
				if !json.Valid(raw) {
					t.Errorf("%s is no JSON: %s", name, raw)
				}
			}
		}
	})
}
