package edge

import (
	"testing"

	"pgregory.net/rapid"
)

// naive is the definition of a glob, written down.
func naive(p, s string) bool {
	if p == "" {
		return s == ""
	}
	if p[0] == '*' {
		for i := 0; i <= len(s); i++ {
			if naive(p[1:], s[i:]) {
				return true
			}
		}
		return false
	}
	return s != "" && (p[0] == '?' || p[0] == s[0]) && naive(p[1:], s[1:])
}

func TestGlobIsItsDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab*?/]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab/*]{0,10}`).Draw(t, "text")
		if got, want := glob(p, s), naive(p, s); got != want {
			t.Fatalf("glob(%q, %q) = %v, want %v", p, s, got, want)
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("/cart/*", "/cart/1")
	f.Add("**?a", "ba")
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 12 || len(s) > 24 {
			_ = glob(p, s) // only that it ends
			return
		}
		if glob(p, s) != naive(p, s) {
			t.Errorf("glob(%q, %q) = %v", p, s, glob(p, s))
		}
	})
}
