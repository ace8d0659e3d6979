package audit

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/run"
)

// A Format is a form of an export.
type Format string

// The formats: one JSON object a line, or a table for spreadsheets. Both can
// be verified.
const (
	JSONL Format = "jsonl"
	CSV   Format = "csv"
)

// headLine is the last line of an export: how many records it has, and the
// head that the chain had when it was made.
const headLine = "audit.head"

// longestLine is more than any line of an export: the records of a run with
// thousands of receipts.
const longestLine = 64 << 20

// Columns of a CSV export, in order. New ones are added at the end.
func columns() []string {
	return []string{"seq", "at", "run", "event", "step", "environment", "services", "who", "says", "client", "host", "version", "command",
		"target", "plan", "receipt", "hidden", "data", "prev", "hash"}
}

// Export writes the records, and after them their number, the head, and a
// digest of the lines before: the chain covers what happened, the digest also
// what is written beside it for the reader.
func Export(w io.Writer, f Format, records []Record) error {
	head := ""
	if n := len(records); n > 0 {
		head = records[n-1].Hash
	}
	var body bytes.Buffer
	if f == CSV {
		if err := writeRows(&body, tableOf(records)); err != nil {
			return err
		}
		last := make([]string, len(columns()))
		last[0], last[3], last[len(last)-3], last[len(last)-1] = itoa(len(records)), headLine, Digest(body.Bytes()), head
		if err := writeRows(&body, [][]string{last}); err != nil {
			return err
		}
	} else {
		enc := json.NewEncoder(&body)
		enc.SetEscapeHTML(false)
		for _, r := range records {
			if err := enc.Encode(jsonLine{Type: "audit", Record: r}); err != nil {
				return err
			}
		}
		if err := enc.Encode(map[string]any{"type": headLine, "records": len(records), "head": head, "content": Digest(body.Bytes())}); err != nil {
			return err
		}
	}
	_, err := w.Write(body.Bytes())
	return err
}

// A jsonLine is a line of a JSONL export. Records, Head and Content are of the
// last one.
type jsonLine struct {
	Type    string `json:"type"`
	Records int64  `json:"records,omitempty"`
	Head    string `json:"head,omitempty"`
	Content string `json:"content,omitempty"`
	Record
}

func tableOf(records []Record) [][]string {
	rows := [][]string{columns()}
	for _, r := range records {
		o := run.Origin{}
		if r.Origin != nil {
			o = *r.Origin
		}
		rows = append(rows, []string{itoa(r.Seq), r.At, r.Run, string(r.Event), r.Step, cell(r.Environment), cell(strings.Join(r.Services, " ")),
			cell(r.Who), cell(r.Says()), cell(o.Client), cell(o.Host), cell(o.Version), cell(o.Command), cell(r.Target), r.Plan, r.Receipt,
			strconv.FormatBool(r.Hidden), string(r.Data), r.Prev, r.Hash})
	}
	return rows
}

func writeRows(w io.Writer, rows [][]string) error { return csv.NewWriter(w).WriteAll(rows) }

// cell keeps a spreadsheet from taking a person's words for a formula.
// Source: https://owasp.org/www-community/attacks/CSV_Injection
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// VerifyExport checks an export by itself: its chain, its count and its head.
// Plans and receipts are not in it; the digests that it holds were compared
// when they were recorded. head is one noted elsewhere, or "".
func VerifyExport(r io.Reader, head string) (Report, error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return Report{}, err
	}
	if len(all) == 0 {
		return Report{}, notAnExport("It is empty.")
	}
	content := Digest(all[:bytes.LastIndexByte(bytes.TrimRight(all, "\n"), '\n')+1])
	chain := &Chain{Known: head}
	ended := false
	each := func(l exported) error {
		switch {
		case ended:
			return broken("There are records after the line that ends the export.")
		case l.head:
			ended = true
			if rep := chain.Report(); rep.Records != int(l.Seq) || rep.Head != l.Hash {
				return broken("The export was cut: it ends with record %d, and was made with %d records and the head %s.", chain.seq, l.Seq, l.Hash)
			}
			if string(l.Data) != content {
				return broken("What stands beside the chain was altered: the lines of the export do not give the digest at its end.")
			}
			return nil
		case l.hidden:
			return chain.AddHidden(l.Link)
		}
		return chain.Add(l.Link)
	}
	if all[0] == '{' {
		err = readJSONL(bytes.NewReader(all), each)
	} else {
		err = readCSV(bytes.NewReader(all), each)
	}
	if err == nil && !ended {
		err = broken("The export was cut: it ends with record %d, without the line that ends every export.", chain.seq)
	}
	if err == nil {
		err = chain.End()
	}
	return chain.Report(), err
}

// exported is a line of an export: a link, or the head, with the digest of the
// lines before it as its data.
type exported struct {
	Link
	hidden, head bool
}

func readJSONL(r io.Reader, each func(exported) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line jsonLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return broken("Line %d of the export cannot be read: %v.", n, err)
		}
		l, err := link(line.Record)
		switch {
		case line.Type == headLine:
			l, err = exported{head: true}, nil
			l.Seq, l.Hash, l.Data = line.Records, line.Head, []byte(line.Content)
		case line.Type != "audit":
			return notAnExport(fmt.Sprintf("Line %d has the type %q.", n, line.Type))
		}
		if err != nil {
			return broken("Line %d of the export cannot be read: %v.", n, err)
		}
		if err := each(l); err != nil {
			return err
		}
	}
	return lines.Err()
}

func readCSV(r io.Reader, each func(exported) error) error {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	header, err := in.Read()
	if err != nil {
		return notAnExport(err.Error())
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	for _, name := range []string{"seq", "at", "run", "event", "step", "hidden", "data", "prev", "hash"} {
		if _, ok := at[name]; !ok {
			return notAnExport(fmt.Sprintf("It has no column %q.", name))
		}
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || len(row) != len(header) {
			line, _ := in.FieldPos(0)
			return broken("Line %d of the export cannot be read: it was altered.", line)
		}
		get := func(name string) string { return row[at[name]] }
		seq, err := strconv.ParseInt(get("seq"), 10, 64)
		if err != nil {
			return broken("A line of the export has no number: %v.", err)
		}
		l := exported{head: get("event") == headLine}
		l.Seq, l.Hash, l.Data = seq, get("hash"), []byte(get("data"))
		if !l.head {
			l, err = link(Record{Seq: seq, At: get("at"), Run: get("run"), Event: run.Type(get("event")), Step: get("step"),
				Hidden: get("hidden") == "true", Data: json.RawMessage(get("data")), Prev: get("prev"), Hash: get("hash")})
		}
		if err != nil {
			return broken("Record %d of the export cannot be read: %v.", seq, err)
		}
		if err := each(l); err != nil {
			return err
		}
	}
}

// link takes of a record what the chain covers.
func link(r Record) (exported, error) {
	at, err := time.Parse(time.RFC3339Nano, r.At)
	return exported{hidden: r.Hidden, Link: Link{Seq: r.Seq, Run: r.Run, Type: r.Event, At: at, Step: r.Step, Data: r.Data, Prev: r.Prev, Hash: r.Hash}}, err
}

func notAnExport(detail string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "not an export of noren", Detail: "The file is not one that noren audit export writes. " + detail}
}

func itoa[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }
