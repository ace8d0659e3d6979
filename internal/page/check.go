package page

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/noren-dev/noren/internal/fault"
)

const (
	svgType = "image/svg+xml"
	pngType = "image/png"
)

var (
	tagForm  = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)
	markForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

func invalid(summary, detail string, err error) error {
	return &fault.Fault{Code: fault.Invalid, Summary: summary, Detail: detail, Err: err}
}

func (c Content) checkMark() error {
	if markForm.MatchString(c.Mark) {
		return nil
	}
	return invalid("the page's mark is not usable",
		fmt.Sprintf("The mark %q is not 1 to 64 letters, digits, '.', '_' or '-'. Without it a probe cannot tell our page from the application's.", c.Mark), nil)
}

func checkUntil(t time.Time) error {
	if y := t.UTC().Year(); y < 1970 || y > 9998 {
		return invalid("the expected end is not a usable time", fmt.Sprintf("The year %d cannot be shown.", y), nil)
	}
	return nil
}

// languages returns the tags to show, checked.
func (c Content) languages() ([]string, error) {
	if len(c.Languages) == 0 {
		return Languages(), nil
	}
	for i, tag := range c.Languages {
		if !tagForm.MatchString(tag) {
			return nil, invalid("a language tag is not valid",
				fmt.Sprintf("%q is not a language tag such as ja, en or pt-BR.", tag), nil)
		}
		if slices.Contains(c.Languages[:i], tag) {
			return nil, invalid("a language is listed twice", fmt.Sprintf("The languages of the page name %s twice.", tag), nil)
		}
	}
	return c.Languages, nil
}

// checkText refuses what a browser would show differently from what was written.
func checkText(tag, title, message string) error {
	for _, t := range []struct{ name, s string }{{"title", title}, {"message", message}} {
		if t.s == "" {
			return invalid("a text of the closed page is missing",
				fmt.Sprintf("The page is to be shown in %s, which has no default texts, and its %s is missing.", tag, t.name), nil)
		}
		if !utf8.ValidString(t.s) {
			return invalid("a text of the closed page is not UTF-8",
				fmt.Sprintf("The %s in %s holds bytes that are not UTF-8.", t.name, tag), nil)
		}
		if strings.ContainsFunc(t.s, unreadable) {
			return invalid("a text of the closed page holds a control character",
				fmt.Sprintf("The %s in %s is %q.", t.name, tag, t.s), nil)
		}
	}
	return nil
}

func unreadable(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || r == '\uFEFF' || r == utf8.RuneError
}

// link reads a contact. Only these two forms exist, so no javascript: gets in.
func link(contact string) (*Link, error) {
	if contact == "" {
		return nil, nil
	}
	bad := func(err error) (*Link, error) {
		return nil, invalid("the contact is not an e-mail address or a URL",
			fmt.Sprintf("%q is neither an address such as help@example.com nor an http or https URL.", contact), err)
	}
	if !utf8.ValidString(contact) || strings.ContainsFunc(contact, func(r rune) bool { return unreadable(r) || unicode.IsSpace(r) }) {
		return bad(nil)
	}
	if a, err := mail.ParseAddress(contact); err == nil && a.Address == contact {
		return &Link{Href: (&url.URL{Scheme: "mailto", Opaque: url.PathEscape(contact)}).String(), Text: contact}, nil
	}
	u, err := url.Parse(contact)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
		return bad(err)
	}
	_, shown, _ := strings.Cut(contact, "://")
	return &Link{Href: u.String(), Text: strings.TrimSuffix(shown, "/")}, nil
}

func logoKind(file []byte) (string, error) {
	if bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")) {
		return pngType, nil
	}
	for dec := xml.NewDecoder(bytes.NewReader(file)); ; {
		tok, err := dec.Token()
		if err != nil {
			return "", invalid("the logo cannot be read", "The logo is neither a PNG file nor an SVG file.", err)
		}
		if start, ok := tok.(xml.StartElement); ok {
			if start.Name.Local == "svg" && start.Name.Space == "http://www.w3.org/2000/svg" {
				return svgType, nil
			}
			return "", invalid("the logo cannot be read",
				"The logo's first element is not <svg xmlns=\"http://www.w3.org/2000/svg\">, which browsers ask for in an image.", nil)
		}
	}
}
