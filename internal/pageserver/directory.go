package pageserver

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Directory is a source for hosts without Kubernetes: each folder in it is a
// page, with the files of package pageapi, and files in the directory itself
// are one, too. It is looked at every second.
type Directory struct {
	Path   string
	Logger *slog.Logger
}

// lookEvery is how often a directory is looked at. Pages are few and small;
// looking works on every file system, which being told does not.
const lookEvery = time.Second

// Watch implements Source.
func (d Directory) Watch(ctx context.Context, set func([]pageapi.Page)) error {
	if info, err := os.Stat(d.Path); err != nil || !info.IsDir() {
		return &fault.Fault{Code: fault.Invalid, Summary: "no directory of pages",
			Detail: fmt.Sprintf("%s is no directory that can be read. Each folder in it is a page: closed.html, closed.json and page.json.", d.Path),
			Try:    []string{"noren page build --out " + filepath.Join(d.Path, "shop")}, Err: err}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	seen := ""
	for {
		files, err := d.read()
		switch now := fingerprint(files); {
		case err != nil: // what is known stays known
			d.Logger.Error("directory of pages cannot be read", "error", err)
		case now != seen:
			seen = now
			set(d.pages(files))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// read returns the files of each folder that has some, "." for the directory.
func (d Directory) read() (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	folders := []string{"."}
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(d.Path, e.Name())); err == nil && info.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	root := os.DirFS(d.Path)
	for _, folder := range folders {
		for _, name := range []string{pageapi.FileAbout, pageapi.FileHTML, pageapi.FileJSON} {
			raw, err := fs.ReadFile(root, filepath.ToSlash(filepath.Join(folder, name)))
			if err != nil {
				continue
			}
			if out[folder] == nil {
				out[folder] = map[string]string{}
			}
			out[folder][name] = string(raw)
		}
	}
	return out, nil
}

func fingerprint(files map[string]map[string]string) string {
	text := "read"
	for _, folder := range slices.Sorted(maps.Keys(files)) {
		text += " " + folder + " " + pageapi.Digest(files[folder])
	}
	return text
}

func (d Directory) pages(files map[string]map[string]string) []pageapi.Page {
	var pages []pageapi.Page
	for _, folder := range slices.Sorted(maps.Keys(files)) {
		p, err := pageapi.Parse(files[folder], MarkIn)
		if err != nil {
			d.Logger.Error("page cannot be served", "folder", filepath.Join(d.Path, folder), "error", err)
			continue
		}
		pages = append(pages, p)
	}
	return pages
}

// MarkIn finds the mark in a page's body.
func MarkIn(body string) string {
	mark, _ := page.MarkIn([]byte(body))
	return mark
}
