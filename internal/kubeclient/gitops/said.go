package gitops

import (
	"strings"
	"unicode"
)

// maxMessage is how much of a message a finding quotes, in characters: a failed
// sync lists every object with its error.
const maxMessage = 300

// Said is a GitOps system's message as the end of a finding: ": message", or
// nothing. A message holds words of other systems, and is made fit for one line
// of a terminal.
func Said(message string) string {
	message = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r): // controls and formats could move the cursor
			return -1
		default:
			return r
		}
	}, message)
	message = strings.Join(strings.Fields(message), " ")
	if message == "" {
		return ""
	}
	if runes := []rune(message); len(runes) > maxMessage {
		message = string(runes[:maxMessage]) + "…"
	}
	return ": " + message
}
