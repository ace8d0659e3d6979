package run

import (
	"strings"

	"github.com/noren-dev/noren/internal/action"
)

// Hidden stands where a secret was.
const Hidden = "•••"

// Without is what an event tells with the secret hidden wherever people's
// words, or those of an outside system, hold it. "" hides nothing.
func (d Data) Without(secret string) Data {
	if secret == "" {
		return d
	}
	hide := func(s string) string { return strings.ReplaceAll(s, secret, Hidden) }
	hideAll := func(list []string) []string {
		var out []string
		for _, s := range list {
			out = append(out, hide(s))
		}
		return out
	}
	d.Text = hide(d.Text)
	if v := d.Verdict; v != nil {
		d.Verdict = &action.Verdict{OK: v.OK, Summary: hide(v.Summary), Findings: hideAll(v.Findings), Try: hideAll(v.Try)}
	}
	if p := d.Problem; p != nil {
		d.Problem = &Problem{Code: p.Code, Summary: hide(p.Summary), Detail: hide(p.Detail), Left: hide(p.Left), Try: hideAll(p.Try)}
	}
	return d
}
