package page

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// ErrTooLarge means that a page does not fit its budget, bare of all that can
// be left out.
var ErrTooLarge = errors.New("the page does not fit")

var (
	styleParts = regexp.MustCompile(`(?is)<style[^>]*>.*?</style>`)
	imageParts = regexp.MustCompile(`(?i)data:image/[^"'\s>]*`)
)

// over is by how many bytes body exceeds budget, 0 if it does not.
func over(body []byte, budget int) int {
	if budget <= Unlimited {
		return 0
	}
	return max(0, len(body)-budget)
}

// overflow is the fault for a body over its budget: by how much, what takes
// the bytes, and what a person can do.
func overflow(what string, body []byte, d Data, budget int) error {
	var parts []string
	rest := len(body)
	part := func(name string, n int) {
		if n > 0 {
			parts = append(parts, name+" "+number(n))
			rest -= n
		}
	}
	for _, b := range d.Blocks {
		part("texts in "+b.Lang, b.weight(body))
	}
	if d.Contact != nil {
		part("contact", len(d.Contact.Href)+len(d.Contact.Text))
	}
	part("style", sizeOf(styleParts, body))
	part("images", sizeOf(imageParts, body))
	part("markup", rest)

	advice := "Shorten the message"
	if len(d.Blocks) > 1 {
		advice += ", show fewer languages"
	}
	advice += ", or let noren's page server send it: `noren page manifest` prints one, page_service in noren.yaml names it."
	return &fault.Fault{
		Code:    fault.Invalid,
		Summary: "the closed page is too large", Err: ErrTooLarge,
		Detail: fmt.Sprintf("The %s has %s, %s more than the %s allowed. They are, about: %s. A Japanese character takes 3 bytes. %s",
			what, bytesOf(len(body)), number(len(body)-budget), number(budget), strings.Join(parts, ", "), advice),
	}
}

// weight is how many bytes of body are b's words: a title stands there twice
// at most, in <title> and <h1>, everything else once.
func (b Block) weight(body []byte) int {
	n := min(2, bytes.Count(body, []byte(b.Title))) * len(b.Title)
	for _, s := range append(b.Lines[:len(b.Lines):len(b.Lines)], b.Back.Sentence()) {
		n += len(s)
	}
	return n
}

func sizeOf(part *regexp.Regexp, body []byte) (n int) {
	for _, m := range part.FindAll(body, -1) {
		n += len(m)
	}
	return n
}

func bytesOf(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return number(n) + " bytes"
}

// number writes n with a comma between thousands.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
