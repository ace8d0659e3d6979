package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/run"
)

// A Link is one event as the chain holds it. Data is the JSON that was hashed,
// byte for byte.
type Link struct {
	Seq  int64
	Run  string
	Type run.Type
	At   time.Time
	Step string
	Data []byte
	Prev string
	Hash string
}

// Sum computes the hash that the link must have.
func (l Link) Sum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%s\n%s\n%s\n%s\n", l.Prev, l.Seq, l.Run, l.Type, l.At.UTC().Format(time.RFC3339Nano), l.Step)
	h.Write(l.Data)
	return hex.EncodeToString(h.Sum(nil))
}

// Event gives the link as an event.
func (l Link) Event() (run.Event, error) {
	e := run.Event{Seq: l.Seq, Run: l.Run, Type: l.Type, At: l.At, Step: l.Step, Prev: l.Prev, Hash: l.Hash}
	if err := json.Unmarshal(l.Data, &e.Data); err != nil {
		return e, fmt.Errorf("record %d: %w", l.Seq, err)
	}
	return e, nil
}

// Digest is the digest of a plan's or a receipt's JSON as it is stored.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// A RunRow is what the store keeps of a run beside its events.
type RunRow struct {
	ID, Kind, Digest, Actor string
	Plan                    []byte
	Created                 time.Time
	Ended                   bool
}

// A Report says what a check of the chain has found, as far as it came.
type Report struct {
	Records  int       `json:"records"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	Head     string    `json:"head,omitempty"`
	Runs     int       `json:"runs"`
	Plans    int       `json:"plans"`    // held against their digests
	Receipts int       `json:"receipts"` // held against their digests
	// Unsealed are receipts that a noren committed which did not yet record
	// their digests: whether they were altered cannot be told.
	Unsealed int `json:"unsealedReceipts"`
	// Hidden are records of an export in which a secret was replaced: their own
	// hashes cannot be computed again, only their places in the chain checked.
	Hidden int `json:"hidden"`
	// Since is how many records came after the head that was compared with.
	Since int `json:"sinceHead"`
}

// A Chain checks links in their order, and then runs and receipts against what
// the links say of them. The zero Chain is ready; it stops at the first thing
// that is wrong.
type Chain struct {
	// Known is a head noted earlier, which must be found; "" if none was.
	Known string

	report  Report
	seq     int64
	prev    string
	found   bool
	created map[string]run.Event
	ended   map[string]bool
	sealed  map[string]map[string]string // by run, by step
	seen    map[string]map[string]bool   // receipts, the same
}

// Add checks the next link.
func (c *Chain) Add(l Link) error {
	switch sum := l.Sum(); {
	case l.Seq == c.seq+2:
		return broken("Record %d is missing: the next one there is record %d (%s).", c.seq+1, l.Seq, about(l))
	case l.Seq > c.seq+1:
		return broken("Records %d to %d are missing: the next one there is record %d (%s).", c.seq+1, l.Seq-1, l.Seq, about(l))
	case l.Seq <= c.seq:
		return broken("Record %d (%s) comes twice, or out of its order.", l.Seq, about(l))
	case l.Hash != sum:
		return broken("Record %d (%s) was altered: what it says does not give its hash.", l.Seq, about(l))
	}
	return c.follow(l)
}

// AddHidden checks the place of a link in which a secret was replaced.
func (c *Chain) AddHidden(l Link) error {
	if l.Seq != c.seq+1 {
		return broken("Record %d (%s) does not come right after record %d.", l.Seq, about(l), c.seq)
	}
	c.report.Hidden++
	return c.follow(l)
}

func (c *Chain) follow(l Link) error {
	if l.Prev != c.prev {
		return broken("Record %d (%s) does not follow from record %d: one of them was put in the place of another.", l.Seq, about(l), c.seq)
	}
	e, err := l.Event()
	if err != nil {
		return broken("Record %d (%s) cannot be read: %v.", l.Seq, about(l), err)
	}
	c.note(e)
	c.seq, c.prev = l.Seq, l.Hash
	if c.report.Records == 0 {
		c.report.From = l.At
	}
	c.report.Records++
	c.report.To, c.report.Head = l.At, l.Hash
	if c.found {
		c.report.Since++
	}
	c.found = c.found || l.Hash == c.Known
	return nil
}

// note keeps what runs and receipts are held against.
func (c *Chain) note(e run.Event) {
	if c.created == nil {
		c.created, c.ended = map[string]run.Event{}, map[string]bool{}
		c.sealed, c.seen = map[string]map[string]string{}, map[string]map[string]bool{}
	}
	switch e.Type {
	case run.RunCreated, run.Adopted:
		c.created[e.Run] = e
	case run.RunEnded:
		c.ended[e.Run] = true
	}
	for step, digest := range e.Data.Receipts {
		if c.sealed[e.Run] == nil {
			c.sealed[e.Run] = map[string]string{}
		}
		c.sealed[e.Run][step] = digest
	}
}

// Run holds a run against the event that created it.
func (c *Chain) Run(r RunRow) error {
	e, ok := c.created[r.ID]
	switch {
	case !ok:
		return broken("Run %s is recorded, and no record tells of its beginning: it was put in by another hand.", r.ID)
	case Digest(r.Plan) != e.Data.Digest, r.Digest != e.Data.Digest:
		return broken("The plan of run %s was altered: it is not the plan that record %d approved.", r.ID, e.Seq)
	case e.Type == run.RunCreated && (r.Actor != e.Data.Actor || !r.Created.Equal(e.At)):
		return broken("Run %s was altered: record %d says that %s began it at %s.", r.ID, e.Seq, e.Data.Actor, e.At.Format(time.RFC3339))
	case r.Ended != c.ended[r.ID]:
		return broken("Run %s was altered: whether it has ended is not as the records say.", r.ID)
	}
	var p struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(r.Plan, &p); err != nil || p.Kind != r.Kind {
		return broken("Run %s was altered: its kind is not its plan's.", r.ID)
	}
	delete(c.created, r.ID)
	c.report.Runs++
	c.report.Plans++
	return nil
}

// Receipt holds a receipt against the event that committed it.
func (c *Chain) Receipt(id, step string, body []byte) error {
	sealed, ok := c.sealed[id]
	if !ok {
		c.report.Unsealed++
		return nil
	}
	switch digest := sealed[step]; digest {
	case "":
		return broken("The receipt of step %s of run %s was put in by another hand: no record tells of it.", step, id)
	case Digest(body):
	default:
		return broken("The receipt of step %s of run %s was altered: it is not the one that was committed before the first write.", step, id)
	}
	if c.seen[id] == nil {
		c.seen[id] = map[string]bool{}
	}
	c.seen[id][step] = true
	c.report.Receipts++
	return nil
}

// Tail checks, after all links, that the last record ever written, of number
// last, is there.
func (c *Chain) Tail(last int64) error {
	if c.seq < last {
		return broken("The end is cut off: the records after %d, up to %d, are gone.", c.seq, last)
	}
	return nil
}

// Stored ends the check of a store, when all its runs and receipts were held
// against the chain.
func (c *Chain) Stored() error {
	if missing := slices.Sorted(maps.Keys(c.created)); len(missing) > 0 {
		return broken("Run %s is gone, and record %d tells of its beginning.", missing[0], c.created[missing[0]].Seq)
	}
	for _, id := range slices.Sorted(maps.Keys(c.sealed)) {
		for _, step := range slices.Sorted(maps.Keys(c.sealed[id])) {
			if !c.seen[id][step] {
				return broken("The receipt of step %s of run %s is gone.", step, id)
			}
		}
	}
	return nil
}

// End looks for the head noted earlier.
func (c *Chain) End() error {
	if c.Known != "" && !c.found {
		return broken("The head %s is not in these records: they are of another state directory, their end was cut off (they end with record %d, %s), or all of them were written anew.",
			c.Known, c.seq, when(c.report.To))
	}
	return nil
}

// Report is what was found so far.
func (c *Chain) Report() Report { return c.report }

func when(t time.Time) string {
	if t.IsZero() {
		return "of no time"
	}
	return "of " + t.Format(time.RFC3339)
}

func about(l Link) string {
	text := string(l.Type) + " of run " + l.Run
	if l.Step != "" {
		text += ", step " + l.Step
	}
	return text
}

func broken(format string, args ...any) error {
	return &fault.Fault{Code: fault.CheckFailed, Summary: "records are not as they were written", Detail: fmt.Sprintf(format, args...),
		Try: []string{"noren audit verify --file AN-EARLIER-EXPORT     # what was true when it was made", "keep a copy of the state directory as it is now"}}
}
