package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// source is the text that positions point into.
type source struct {
	file  string
	lines []string
}

func newSource(file, data string) *source {
	lines := strings.Split(data, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return &source{file, lines}
}

// maxExcerpt is how many characters of a line are worth showing.
const maxExcerpt = 300

func (s *source) position(at spot) fault.Position {
	p := fault.Position{File: s.file, Line: max(1, at.line), Column: max(1, at.column)}
	p.Line = min(p.Line, len(s.lines))
	line := []rune(s.lines[p.Line-1])
	if len(line) <= maxExcerpt {
		p.Excerpt = string(line)
	} else if p.Column <= maxExcerpt {
		p.Excerpt = string(line[:maxExcerpt]) + "…"
	}
	return p
}

// reader turns a tree into typed values and collects what is wrong.
type reader struct {
	*source
	known  Known
	faults []*fault.Fault
}

// maxFaults is how many errors are told at once. A file with more is not one
// that a person corrects error by error.
const maxFaults = 500

func (r *reader) full() bool { return len(r.faults) > maxFaults }

func (r *reader) add(at spot, summary, detail string, try ...string) {
	if r.full() {
		return
	}
	if len(r.faults) == maxFaults {
		summary, detail, try = "too many errors", fmt.Sprintf("More than %d errors were found; the others are not listed.", maxFaults), nil
	}
	p := r.position(at)
	r.faults = append(r.faults, &fault.Fault{Code: fault.Invalid, Summary: summary, Detail: detail, At: &p, Try: try})
}

// err joins the faults in the order of the file. What an alias repeats is told
// once.
func (r *reader) err() error {
	slices.SortStableFunc(r.faults, func(a, b *fault.Fault) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	r.faults = slices.CompactFunc(r.faults, func(a, b *fault.Fault) bool {
		return *a.At == *b.At && a.Summary == b.Summary && a.Detail == b.Detail
	})
	return join(r.faults)
}

func join(faults []*fault.Fault) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// field is one key of a mapping and what reads its value.
type field struct {
	key  string
	read func(*node)
}

// object reads a mapping with fixed keys, of which some are required. A key
// without a value counts as not given. It tells whether n is a mapping.
func (r *reader) object(n *node, what string, required []string, fields ...field) bool {
	if !r.is(n, mapping, what) {
		return false
	}
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	for _, e := range n.entries {
		i := slices.Index(keys, e.key)
		switch {
		case i < 0:
			r.add(e.spot, "unknown key", fmt.Sprintf("%q is not a key of %s%s Its keys are: %s.",
				e.key, what, didYouMean(e.key, keys), strings.Join(keys, ", ")))
		case e.value.shape != null:
			fields[i].read(e.value)
		}
	}
	for _, key := range required {
		if e := n.get(key); e == nil {
			r.add(n.spot, "key is missing", fmt.Sprintf("%q is missing: %s needs it.", key, what))
		} else if e.value.shape == null {
			r.add(e.spot, "value is missing", fmt.Sprintf("%q has no value: %s needs it.", key, what))
		}
	}
	return true
}

// is tells whether n has the shape, and reports it if not.
func (r *reader) is(n *node, want shape, what string) bool {
	if n.shape == want {
		return true
	}
	var try []string
	switch {
	case want == text && (n.shape == number || n.shape == boolean):
		try = []string{fmt.Sprintf("%q", n.raw)}
	case want == list && n.shape == text:
		try = []string{"[" + scalar(n.raw) + "]"}
	case want == boolean && slices.Contains([]string{"yes", "on", "y"}, strings.ToLower(n.raw)):
		try = []string{"true"}
	case want == boolean && slices.Contains([]string{"no", "off", "n"}, strings.ToLower(n.raw)):
		try = []string{"false"}
	}
	r.add(n.spot, "value of the wrong type", fmt.Sprintf("%s must be %s, and this is %s.", capital(what), want, n.shape), try...)
	return false
}

func (r *reader) text(n *node, what string) (string, bool) {
	if !r.is(n, text, what) {
		return "", false
	}
	s := n.value.(string)
	if strings.TrimSpace(s) == "" {
		r.add(n.spot, "value is empty", capital(what)+" must not be empty.")
		return "", false
	}
	return s, true
}

func (r *reader) bool(n *node, what string) bool {
	return r.is(n, boolean, what) && n.value.(bool)
}

// texts reads a list of texts and keeps those that check accepts. The result
// is not nil.
func (r *reader) texts(n *node, what, each string, check func(at spot, s string) bool) []string {
	all := []string{}
	if !r.is(n, list, what) {
		return all
	}
	for _, item := range n.items {
		if s, ok := r.text(item, each); ok && check(item.spot, s) {
			all = append(all, s)
		}
	}
	return all
}

// named reads a mapping from names to things.
func (r *reader) named(n *node, what string, read func(e entry)) {
	if !r.is(n, mapping, what) {
		return
	}
	for _, e := range n.entries {
		read(e)
	}
}

var nameShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// name checks a name that people type and that other systems are shown.
func (r *reader) name(e entry, what string) bool {
	if nameShape.MatchString(e.key) {
		return true
	}
	var try []string
	if n := Name(e.key); n != "" {
		try = []string{n + ":"}
	}
	r.add(e.spot, "name cannot be used", fmt.Sprintf("%q cannot be the name of %s: it is typed on the command line, and has "+
		"1 to 63 of the letters a-z, digits, '.', '_' and '-', a letter or digit first.", e.key, what), try...)
	return false
}

// oneOf checks that s is among the words.
func (r *reader) oneOf(at spot, s, what string, words []string) bool {
	if slices.Contains(words, s) {
		return true
	}
	r.add(at, "unknown "+what, fmt.Sprintf("%q is not a %s that noren knows%s It knows: %s.", s, what, didYouMean(s, words), listed(words)))
	return false
}

// url checks the URL of a health check.
func (r *reader) url(at spot, s string) bool {
	why := ""
	u, err := url.Parse(s)
	switch {
	case err != nil:
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		why = err.Error()
	case u.Scheme == "":
		why = "it does not begin with https:// or http://"
	case u.Scheme != "http" && u.Scheme != "https":
		why = fmt.Sprintf("it begins with %s:, not with https:// or http://", u.Scheme)
	case u.Hostname() == "":
		why = "it names no host"
	case u.User != nil:
		why = "it carries a user or password, and this file is no place for one"
	case u.Fragment != "":
		why = "what follows # is never sent to a server"
	case strings.ContainsAny(s, " \t\n"):
		why = "it has a space in it"
	default:
		return true
	}
	var try []string
	if t, err := url.Parse("https://" + s); err == nil && u != nil && u.Scheme == "" && strings.Contains(t.Hostname(), ".") {
		try = []string{t.String()}
	}
	r.add(at, "URL cannot be used", fmt.Sprintf("%q is not a URL to check: %s.", s, why), try...)
	return false
}

// maxPattern is the longest path pattern that an ALB accepts.
const maxPattern = 128

// pattern checks a path pattern.
func (r *reader) pattern(at spot, s string) bool {
	var why string
	var try []string
	switch {
	case !strings.HasPrefix(s, "/"):
		why = "a path begins with /"
		if u, err := url.Parse(s); err == nil && u.Host != "" {
			why += ", and this is a whole URL"
			try = []string{u.Path}
		} else {
			try = []string{"/" + s}
		}
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }):
		why = "a path is sent in ASCII without spaces; write other letters as %XX"
	case strings.Contains(s, "#"):
		why = "what follows # is never sent to a server"
	case len(s) > maxPattern:
		why = fmt.Sprintf("it has %d letters, and load balancers accept %d", len(s), maxPattern)
	default:
		return true
	}
	r.add(at, "path pattern cannot be used", fmt.Sprintf("%q is not a path pattern: %s.", s, why), try...)
	return false
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
