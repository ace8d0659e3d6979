package edge

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whether patterns cover each other or meet is compared with what texts match.
func TestPatterns(t *testing.T) {
	t.Parallel()
	texts := []string{""}
	for range 4 {
		for _, s := range texts {
			for _, c := range "ab/" {
				texts = append(texts, s+string(c))
			}
		}
		texts = slices.Compact(slices.Sorted(slices.Values(texts)))
	}
	pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab/*?")), 0, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := pattern.Draw(t, "a"), pattern.Draw(t, "b")
		common := false
		for _, s := range texts {
			inA, inB := glob(a, s), glob(b, s)
			common = common || inA && inB
			if Covers(a, b) && inB && !inA {
				t.Errorf("%q is said to cover %q, and %q is only in the latter", a, b, s)
			}
		}
		// Patterns of three characters that have a text in common have one of four.
		if Meet(a, b) != common {
			t.Errorf("%q and %q: Meet says %t, and texts say %t", a, b, Meet(a, b), common)
		}
	})
}
