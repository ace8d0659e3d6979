package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // a bare host may have no zone files
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"

	"github.com/noren-dev/noren/internal/fault"
)

// FileName is what [Find] looks for. PathVariable names the environment
// variable that says where the file is instead.
const (
	FileName     = "noren.yaml"
	PathVariable = "NOREN_CONFIG"
)

// maxSize is the largest file that is read, in bytes.
const maxSize = 1 << 20

// Find returns the path of the file that is meant in a directory: that of
// $NOREN_CONFIG if set, else the noren.yaml in dir or in the nearest directory
// above it.
func Find(dir string) (string, error) {
	if path := os.Getenv(PathVariable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", unreadable(path, "$"+PathVariable+" says that the file is "+path+". ", err)
		}
		return path, nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("catalog: find %s: %w", dir, err)
	}
	for at := abs; ; at = filepath.Dir(at) {
		path := filepath.Join(at, FileName)
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir():
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", unreadable(path, "", err)
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return "", &fault.Fault{Code: fault.NotFound, Summary: "no noren.yaml",
		Detail: fmt.Sprintf("There is no %s in %s or above it. It says what there is to close; noren can find that and write it.", FileName, abs),
		Try:    []string{"noren init"}, Err: fs.ErrNotExist}
}

func unreadable(path, detail string, err error) error {
	f := &fault.Fault{Code: fault.Invalid, Summary: "file cannot be read", Detail: detail, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Code, f.Detail, f.Try = fault.NotFound, detail+"There is no file "+path+".", []string{"noren init"}
	case errors.Is(err, fs.ErrPermission):
		f.Code, f.Detail = fault.Denied, detail+"This user may not read "+path+"."
	}
	return f
}

// Load reads the file at path. See [Parse].
func Load(path string, known Known) (*Catalog, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, "", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, unreadable(path, "", err)
	}
	return Parse(path, data, known)
}

// Parse reads the text of a file. name is what positions say, and paths in the
// file are relative to its directory. It does no I/O.
//
// Its error joins every fault found, each of the code Invalid with a position.
func Parse(name string, data []byte, known Known) (*Catalog, error) {
	content := strings.TrimPrefix(strings.ToValidUTF8(string(data[:min(len(data), maxSize)]), "\uFFFD"), "\uFEFF")
	r := &reader{source: newSource(name, content), known: known}
	if len(data) > maxSize {
		r.add(spot{}, "file is too large", fmt.Sprintf("A catalog has at most %d bytes. Is this the right file?", maxSize))
		return nil, r.err()
	}
	if !utf8.Valid(data) {
		r.notUTF8(data)
		return nil, r.err()
	}
	root := r.tree(content)
	if root == nil || r.newer(root) {
		return nil, r.err()
	}
	c := &Catalog{File: name, Page: Page{source: r.source}, Keep: DefaultKeep()}
	r.file(root, c)
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// notUTF8 reports the first byte that is not UTF-8.
func (r *reader) notUTF8(data []byte) {
	why := "The file is not UTF-8 text from here on. Save it as UTF-8."
	if len(data) > 1 && (data[0] == 0xFF && data[1] == 0xFE || data[0] == 0xFE && data[1] == 0xFF) {
		why = "The file is UTF-16. Save it as UTF-8."
	}
	at := spot{1, 1}
	for len(data) > 0 {
		c, n := utf8.DecodeRune(data)
		if c == utf8.RuneError && n == 1 {
			break
		}
		at.column++
		if c == '\n' {
			at = spot{at.line + 1, 1}
		}
		data = data[n:]
	}
	r.add(at, "file is not UTF-8", why)
}

// tree parses the text. It returns nil after what is no catalog at all was
// reported.
func (r *reader) tree(content string) *node {
	if i := strings.IndexByte(content, 0); i >= 0 {
		line := strings.Count(content[:i], "\n") + 1
		r.add(spot{line, 1}, "file is not text", "A zero byte is on this line.")
		return nil
	}
	if at, why := tooMuch(lexer.Tokenize(content)); why != "" {
		r.add(at, "file is too large", why)
		return nil
	}
	file, err := parse(content)
	if err != nil {
		var at spot
		message := err.Error()
		var ye yaml.Error
		if errors.As(err, &ye) {
			at, message = spotOfToken(ye.GetToken()), ye.GetMessage()
		}
		r.add(at, "file is not valid YAML", syntax(message))
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch d.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode:
			continue
		}
		if body != nil {
			r.add(spotOf(d.Body), "file has two documents", "A second document begins after ---. A catalog is one.")
			return nil
		}
		body = d.Body
	}
	if body == nil {
		r.add(spot{1, 1}, "file is empty", "A catalog has at least a version, a zone and one environment. noren can write one from what it finds.", "noren init")
		return nil
	}
	b := &builder{r: r, anchors: map[string]*node{}}
	root := b.build(body)
	if b.weight > maxWeight {
		r.add(spot{1, 1}, "file is too large", fmt.Sprintf("With its aliases written out the file has more than %d values.", maxWeight))
		return nil
	}
	return root
}

// parse calls the YAML parser. A panic in it, on text that only a fuzzer
// writes, becomes an error.
func parse(content string) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the file cannot be read as YAML")
		}
	}()
	return parser.ParseBytes([]byte(content), 0, parser.AllowDuplicateMapKey())
}

// newer reports a file of a later version, of which nothing else can be said.
func (r *reader) newer(root *node) bool {
	e := root.get("version")
	if e == nil {
		return false
	}
	var above bool
	switch v := e.value.value.(type) {
	case uint64:
		above = v > Version
	case int64:
		above = v > Version
	}
	if above {
		r.add(e.value.spot, "file needs a newer noren", fmt.Sprintf(
			"The file is of version %s, and this noren reads up to version %d. Use a newer noren.", e.value.raw, Version))
	}
	return above
}

func (r *reader) file(root *node, c *Catalog) {
	f := &fileReader{reader: r, c: c}
	ok := r.object(root, "the file", []string{"version", "zone", "environments"},
		field{"version", f.version},
		field{"zone", f.zone},
		field{"page", func(n *node) { c.Page = r.page(n, "the page") }},
		field{"keep", func(n *node) { c.Keep = r.keep(n) }},
		field{"environments", f.environments},
		field{"teams", f.readTeams},
		field{"services", f.services})
	if ok {
		f.across()
	}
}

// fileReader reads the parts of the file that refer to each other.
type fileReader struct {
	*reader
	c    *Catalog
	refs []reference // to environments, which may be written after
}

type reference struct {
	at   spot
	name string
}

func (f *fileReader) version(n *node) {
	if n.shape == number && n.raw == fmt.Sprint(Version) {
		return
	}
	f.add(n.spot, "unknown version", fmt.Sprintf("The version of the file must be the number %d.", Version), fmt.Sprintf("version: %d", Version))
}

func (f *fileReader) zone(n *node) {
	f.c.Zone = time.UTC // until the file is right, for what follows
	s, ok := f.text(n, "the zone")
	if !ok {
		return
	}
	if s != "Local" {
		if z, err := time.LoadLocation(s); err == nil {
			f.c.Zone = z
			return
		}
	}
	var try []string
	if near := nearestZone(s); near != "" {
		try = []string{"zone: " + near}
	}
	f.add(n.spot, "unknown time zone", fmt.Sprintf("%q is not the IANA name of a time zone, such as Asia/Tokyo or UTC%s", s, didYouMean(s, zoneNames())), try...)
}

func nearestZone(s string) string {
	short := map[string]string{"JST": "Asia/Tokyo", "KST": "Asia/Seoul", "IST": "Asia/Kolkata", "SGT": "Asia/Singapore", "BST": "Europe/London",
		"CEST": "Europe/Berlin", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "EDT": "America/New_York", "CST": "America/Chicago",
		"CDT": "America/Chicago", "AEST": "Australia/Sydney", "LOCAL": "UTC", "Z": "UTC", "+09:00": "Asia/Tokyo"}
	if z := short[strings.ToUpper(s)]; z != "" {
		return z
	}
	if near := fault.Nearest(s, zoneNames()); near != "" {
		return near
	}
	for _, z := range zoneNames() { // "Tokyo", "Europe/Tokyo"
		_, city, _ := strings.Cut(z, "/")
		if _, typed, _ := strings.Cut(s, "/"); city != "" && (strings.EqualFold(city, s) || strings.EqualFold(city, typed)) {
			return z
		}
	}
	return ""
}

// zoneNames are those worth suggesting; any IANA name is accepted.
func zoneNames() []string {
	return strings.Fields(`UTC Asia/Tokyo Asia/Seoul Asia/Shanghai Asia/Hong_Kong Asia/Taipei Asia/Singapore Asia/Manila Asia/Bangkok
		Asia/Jakarta Asia/Ho_Chi_Minh Asia/Kuala_Lumpur Asia/Kolkata Asia/Dubai Asia/Jerusalem Europe/London Europe/Dublin Europe/Lisbon
		Europe/Paris Europe/Berlin Europe/Madrid Europe/Rome Europe/Amsterdam Europe/Brussels Europe/Zurich Europe/Vienna Europe/Stockholm
		Europe/Oslo Europe/Copenhagen Europe/Helsinki Europe/Warsaw Europe/Prague Europe/Athens Europe/Istanbul Europe/Kyiv Europe/Moscow
		Africa/Cairo Africa/Johannesburg Africa/Lagos Africa/Nairobi America/New_York America/Chicago America/Denver America/Phoenix
		America/Los_Angeles America/Anchorage America/Toronto America/Vancouver America/Mexico_City America/Bogota America/Lima
		America/Santiago America/Sao_Paulo America/Argentina/Buenos_Aires Pacific/Honolulu Pacific/Auckland Australia/Sydney
		Australia/Melbourne Australia/Brisbane Australia/Adelaide Australia/Perth`)
}
