package gatewayapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// oursPrefix begins the names of objects of noren's.
const oursPrefix = "noren-"

// secrets match a pass in YAML: the value beside or below the name of its
// header, and what follows the name of its cookie.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(name: "?` + edge.PassHeader + `"?\n(?:\s+type: \w+\n)?\s+value: ).*()`),
	regexp.MustCompile(`(?i)(` + edge.PassHeader + `"?:\n\s+exact: ).*()`),
	regexp.MustCompile(`(` + edge.PassCookie + `=)[A-Za-z0-9._-]*(.*)`),
}

func redact(text string) string {
	for _, s := range secrets {
		text = s.ReplaceAllString(text, "${1}•••${2}")
	}
	return text
}

// digest is of any plain data, by value.
func digest(v any) string {
	text, err := kubeobject.JSON(kubeobject.Plain(v))
	if err != nil {
		text = err.Error()
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// matchDigests are digests of the matches of a rule or of an entry, whose list
// is "matches" in Gateway API and "match" in Istio; one where it has none.
func matchDigests(rule map[string]any) []string {
	for _, key := range []string{"matches", "match"} {
		if list, ok := rule[key].([]any); ok && len(list) > 0 {
			out := make([]string, len(list))
			for i, m := range list {
				out[i] = digest(m)
			}
			return out
		}
	}
	return []string{digest(nil)}
}

// invalid is a fault about what was asked of an entrance.
func invalid(summary, format string, args ...any) *fault.Fault {
	return &fault.Fault{Code: fault.Invalid, Summary: summary, Detail: fmt.Sprintf(format, args...)}
}

// malformed is the fault of a name that is not namespace/name.
func malformed(kind, entrance string, err error) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "malformed entrance name",
		Detail: fmt.Sprintf("%s %q: %v.", kind, entrance, err), Err: err}
}

// some joins names for a sentence.
func some(names []string) string { return strings.Join(names, ", ") }
