package mute

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
)

// A tag tells which mute of noren's a mute is.
type tag struct{ env, mark, name string }

// tagForm is a tag in the words of a mute. Its parts are escaped.
var tagForm = regexp.MustCompile(`\[noren:([^:\[\]\s]*):([^:\[\]\s]*):([^:\[\]\s]*)\]`)

func (t tag) String() string {
	return fmt.Sprintf("[noren:%s:%s:%s]", url.QueryEscape(t.env), url.QueryEscape(t.mark), url.QueryEscape(t.name))
}

// Key is what in the words of a mute of noren's tells it from every other, and stays
// the same as its words change; "" in those of anybody else's.
func Key(text string) string { return tagForm.FindString(text) }

func tagOf(text string) (tag, bool) {
	m := tagForm.FindStringSubmatch(text)
	if m == nil {
		return tag{}, false
	}
	var t tag
	for i, part := range []*string{&t.env, &t.mark, &t.name} {
		plain, err := url.QueryUnescape(m[i+1])
		if err != nil {
			return tag{}, false
		}
		*part = plain
	}
	return t, true
}

// packedMark is a mark in the words of a mute.
var packedMark = regexp.MustCompile(`noren/1\+gzip:[A-Za-z0-9+/=]+`)

// MarkIn reads the mark in the words of a mute, nil if there is none. With an
// error that says why it cannot be relied on, it returns what could be read.
func MarkIn(text string) (*action.Mark, error) {
	packed := packedMark.FindString(text)
	if packed == "" {
		return nil, nil
	}
	m, err := action.ParseMark(packed)
	return &m, err
}

// text is what people read of a mute where it stands, the tag, and the mark if
// there is room. A state of before the closing bears no mark.
func (c *Change[W]) text(to *State[W]) (string, error) {
	t := tag{c.system.Env, c.params.Mark, c.params.Name}.String()
	begin := c.plain(c.params.Service + " is closed for planned work")
	full := begin
	if c.params.Reason != "" {
		full += ": " + c.plain(c.params.Reason)
	}
	end := ". Made by noren, which takes it away on opening. " + t
	text := full + end
	if !c.fits(text) {
		text = begin + end
	}
	if !c.fits(text) {
		text = "noren " + t
	}
	if c.mark == nil || to == nil {
		return text, nil
	}
	packed, err := c.mark.Packed()
	if err != nil {
		return "", err
	}
	if with := text + "\n" + packed; c.fits(with) {
		return with, nil
	}
	return text, nil
}

func (c *Change[W]) fits(text string) bool {
	return c.system.Limit == 0 || len(text) <= c.system.Limit
}

// plain is a text of a person's in one line, without what means something where
// it will stand.
func (c *Change[W]) plain(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == '[' || r == ']' || strings.ContainsRune(c.system.Forbidden, r) {
			return ' '
		}
		return r
	}, s)), " ")
}

// yaml shows a state to people.
func yaml[W any](s *State[W]) string {
	if s == nil {
		return "rings: yes\n"
	}
	var b strings.Builder
	b.WriteString("rings: no\nuntil: " + s.Until.UTC().Format("2006-01-02T15:04:05Z") + "\n")
	raw, err := json.Marshal(s.What)
	fields := map[string]json.RawMessage{}
	if err != nil || json.Unmarshal(raw, &fields) != nil {
		return b.String()
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		var list []string
		if json.Unmarshal(fields[key], &list) == nil {
			b.WriteString(key + ":\n")
			for _, item := range list {
				b.WriteString("  - " + item + "\n")
			}
			continue
		}
		b.WriteString(key + ": " + strings.Trim(string(fields[key]), `"`) + "\n")
	}
	return b.String()
}
