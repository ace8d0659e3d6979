package edge

// Covers tells whether pattern a matches all that pattern b does. In patterns *
// is any run of characters and ? is one, as in rules; case counts. It can miss
// that it does, and never says so wrongly: b's wildcards are taken for characters
// that only a's match.
func Covers(a, b string) bool {
	// memo by places in a and b; patterns are short.
	seen := map[[2]int]bool{}
	var match func(i, j int) bool
	match = func(i, j int) bool {
		if i == len(a) {
			return j == len(b)
		}
		if seen[[2]int{i, j}] {
			return false
		}
		seen[[2]int{i, j}] = true
		switch {
		case a[i] == '*':
			return match(i+1, j) || j < len(b) && match(i, j+1)
		case j == len(b), b[j] == '*':
			return false
		case a[i] == '?' || a[i] == b[j]:
			return match(i+1, j+1)
		}
		return false
	}
	return match(0, 0)
}

// Meet tells whether some text matches both patterns.
func Meet(a, b string) bool {
	seen := map[[2]int]bool{}
	var match func(i, j int) bool
	match = func(i, j int) bool {
		if i == len(a) && j == len(b) {
			return true
		}
		if seen[[2]int{i, j}] {
			return false
		}
		seen[[2]int{i, j}] = true
		switch {
		case i < len(a) && a[i] == '*':
			return match(i+1, j) || j < len(b) && match(i, j+1)
		case j < len(b) && b[j] == '*':
			return match(i, j+1) || i < len(a) && match(i+1, j)
		case i < len(a) && j < len(b) && (a[i] == '?' || b[j] == '?' || a[i] == b[j]):
			return match(i+1, j+1)
		}
		return false
	}
	return match(0, 0)
}
