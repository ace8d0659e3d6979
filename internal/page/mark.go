package page

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// Our page has passed a minifier, a user's own may have passed another one:
// both quotes and none are read.
var metaMark = regexp.MustCompile(`(?i)<meta\s+name=["']?noren["']?\s+content=["']?([A-Za-z0-9._-]{1,64})["']?\s*/?>`)

// MarkIn returns the mark in the body of an answer, be it HTML or JSON. No
// text that a user wrote can pass for one: it would have been escaped.
func MarkIn(body []byte) (mark string, ok bool) {
	if trimmed := bytes.TrimSpace(body); bytes.HasPrefix(trimmed, []byte("{")) {
		var members map[string]json.RawMessage
		if json.Unmarshal(trimmed, &members) != nil || json.Unmarshal(members["noren"], &mark) != nil {
			return "", false
		}
		if !markForm.MatchString(mark) {
			return "", false
		}
		return mark, true
	}
	if m := metaMark.FindSubmatch(body); m != nil {
		return string(m[1]), true
	}
	return "", false
}
