package catalog

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// A Page is how the closed page looks. What is empty was not written, and
// package page has a default for it.
type Page struct {
	// Languages is the order of display, as BCP 47 tags.
	Languages []string
	// Title and Message are texts by language.
	Title, Message map[string]string
	// Contact is an e-mail address or a URL.
	Contact string
	// Logo and Template are paths of files, relative to the catalog unless
	// absolute; [Page.ReadLogo] and [Page.ReadTemplate] read them.
	Logo, Template string

	source *source
	where  map[string]spot
}

// At returns where a key of the page ("title", "logo") is written, and whether
// it is: errors about the built page can then point there.
func (p Page) At(key string) (fault.Position, bool) {
	at, ok := p.where[key]
	if !ok || p.source == nil {
		return fault.Position{}, false
	}
	return p.source.position(at), true
}

// ReadLogo reads the logo. Without one it returns nil.
func (p Page) ReadLogo() ([]byte, error) { return p.read("logo", p.Logo) }

// ReadTemplate reads the template. Without one it returns "".
func (p Page) ReadTemplate() (string, error) {
	data, err := p.read("template", p.Template)
	return string(data), err
}

// maxPageFile is the largest logo or template that is read, in bytes.
const maxPageFile = 1 << 20

func (p Page) read(key, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	if !filepath.IsAbs(path) && p.source != nil {
		path = filepath.Join(filepath.Dir(p.source.file), path)
	}
	data, err := readAtMost(path, maxPageFile)
	if err == nil {
		return data, nil
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "file of the page cannot be read",
		Detail: fmt.Sprintf("The %s cannot be read: %v.", key, err), Err: err}
	if at, ok := p.At(key); ok {
		f.At = &at
	}
	return nil, f
}

func readAtMost(path string, limit int64) ([]byte, error) {
	// A pipe or a device could keep us waiting for ever.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, err
}

// with returns p with what over says instead: texts language by language, the
// rest as a whole.
func (p Page) with(over Page) Page {
	out := p
	if over.source != nil {
		out.source = over.source
	}
	if over.Languages != nil {
		out.Languages = over.Languages
	}
	out.Title = merged(p.Title, over.Title)
	out.Message = merged(p.Message, over.Message)
	if over.Contact != "" {
		out.Contact = over.Contact
	}
	if over.Logo != "" {
		out.Logo = over.Logo
	}
	if over.Template != "" {
		out.Template = over.Template
	}
	out.where = merged(p.where, over.where)
	return out
}

func merged[V any](under, over map[string]V) map[string]V {
	if under == nil && over == nil {
		return nil
	}
	all := map[string]V{}
	maps.Copy(all, under)
	maps.Copy(all, over)
	return all
}

// page reads a page section.
func (r *reader) page(n *node, what string) Page {
	p := Page{source: r.source, where: map[string]spot{}}
	put := func(key string, into *string, check func(at spot, s string)) field {
		return field{key, func(n *node) {
			p.where[key] = n.spot
			if s, ok := r.text(n, "the "+key); ok {
				*into = s
				check(n.spot, s)
			}
		}}
	}
	r.object(n, what, nil,
		field{"languages", func(n *node) {
			p.where["languages"] = n.spot
			p.Languages = r.texts(n, "languages", "a language", r.language)
			if len(p.Languages) == 0 {
				p.Languages = nil // as if not written: the error is reported, or there is nothing in it
			}
		}},
		field{"title", func(n *node) { p.where["title"], p.Title = n.spot, r.byLanguage(n, "title", p.where) }},
		field{"message", func(n *node) { p.where["message"], p.Message = n.spot, r.byLanguage(n, "message", p.where) }},
		put("contact", &p.Contact, r.contact),
		put("logo", &p.Logo, r.localFile),
		put("template", &p.Template, r.localFile))
	return p
}

var languageShape = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func (r *reader) language(at spot, tag string) bool {
	if languageShape.MatchString(tag) {
		return true
	}
	r.add(at, "unknown language", fmt.Sprintf("%q is not the tag of a language, such as ja, en or pt-BR.", tag))
	return false
}

func (r *reader) byLanguage(n *node, key string, where map[string]spot) map[string]string {
	if n.shape == text {
		r.add(n.spot, "value of the wrong type", fmt.Sprintf("The %s is written for each language.", key),
			fmt.Sprintf("%s: {en: %s}", key, scalar(n.raw)))
		return nil
	}
	all := map[string]string{}
	r.named(n, "the "+key, func(e entry) {
		where[key+"."+e.key] = e.spot
		if !r.language(e.spot, e.key) || e.value.shape == null {
			return
		}
		if s, ok := r.text(e.value, "the "+key+" in "+e.key); ok {
			all[e.key] = s
		}
	})
	return all
}

func (r *reader) contact(at spot, s string) {
	if strings.Contains(s, "@") && !strings.ContainsAny(s, " <>") || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return
	}
	r.add(at, "contact cannot be used", fmt.Sprintf("%q is neither an e-mail address nor a URL, and customers shall be able to follow it.", s))
}

func (r *reader) localFile(at spot, s string) {
	if strings.Contains(s, "://") || strings.HasPrefix(s, "data:") {
		r.add(at, "not a file", "The page stands alone and fetches nothing: give the path of a file, and it is put into the page.")
	}
}

// languages checks that the texts written in a page are in a language shown.
func (r *reader) languages(p Page, shown []string) {
	if shown == nil {
		return
	}
	for key, texts := range map[string]map[string]string{"title": p.Title, "message": p.Message} {
		for lang := range texts {
			if slices.Contains(shown, lang) {
				continue
			}
			r.add(p.where[key+"."+lang], "text in a language not shown", fmt.Sprintf("The page is shown in %s, and this %s is in %q%s",
				strings.Join(shown, ", "), key, lang, didYouMean(lang, shown)))
		}
	}
}
