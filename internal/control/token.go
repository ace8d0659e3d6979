package control

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// letters are Crockford's, in lower case: no i, l, o, u to misread or misspell.
// Source: https://www.crockford.com/base32.html
var letters = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// token returns n random letters, 5 bits each.
func token(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails: see crypto/rand
	return strings.ToLower(letters.EncodeToString(raw))[:n]
}
