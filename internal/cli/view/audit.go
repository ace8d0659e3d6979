package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/run"
)

// Records shows records, a line each with what belongs to it below.
func (h Human) Records(records []audit.Record) {
	if len(records) == 0 {
		h.print("Nothing was recorded that is asked for.\n")
	}
	day := ""
	for _, r := range records {
		at := localTime(r)
		if d := at.Format("2006-01-02 MST"); d != day {
			day = d
			h.print("%s\n", bold(d))
		}
		h.print("%s  %s  %s  %s\n", faint(at.Format("15:04:05")), faint(r.Run), oneLine(r.Says()), faint("by "+oneLine(r.Who)))
		for _, line := range details(r) {
			h.print("          %s\n", faint(line))
		}
	}
}

func localTime(r audit.Record) time.Time {
	at, err := time.Parse(time.RFC3339Nano, r.At)
	if loc, errZone := time.LoadLocation(r.Zone); err == nil && errZone == nil && r.Zone != "" {
		return at.In(loc)
	}
	return at.Local()
}

// details are what a record holds beside its sentence.
func details(r audit.Record) []string {
	var lines []string
	add := func(label, text string) {
		if text != "" {
			lines = append(lines, label+oneLine(text))
		}
	}
	if o := r.Origin; o != nil && r.Event != run.RunStarted {
		add("$ ", o.Command)
		add("from ", o.Where())
		add("state directory ", o.State)
	}
	if c := r.Confirmed; c != nil {
		text := c.How.String()
		if c.By != "" {
			text += ", by " + c.By
		}
		if c.Protected {
			text += " (protected environment)"
		}
		add("", text)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Identities)) {
		add("known to "+name+" as ", r.Identities[name])
	}
	add("plan ", r.Plan)
	if r.Receipt != "" && r.Event != run.StepStarted && r.Event != run.StepWaiting {
		add("receipt of "+r.Target+" ", r.Receipt)
	}
	return lines
}

// Verified says that the records are as they were written.
func (h Human) Verified(r audit.Report, head string) {
	if r.Records == 0 {
		h.print("There is no record yet.\n")
		return
	}
	h.print("%s %s, from %s to %s, each following from the one before.\n", green("✓"), count(r.Records, "record"), moment(r.From), moment(r.To))
	if r.Runs > 0 {
		h.print("%s %s and %s are those that the records tell of.\n", green("✓"), count(r.Plans, "plan"), count(r.Receipts, "receipt"))
	}
	if head != "" {
		h.print("%s The head you gave is there; %s came after it.\n", green("✓"), count(r.Since, "record"))
	}
	if r.Unsealed > 0 {
		h.print("%s %s of an older noren that did not record their digests: whether they were altered cannot be told.\n", yellow("note:"), count(r.Unsealed, "receipt"))
	}
	if r.Hidden > 0 {
		h.print("%s in %s a secret was hidden: only their place in the chain could be checked.\n", yellow("note:"), count(r.Hidden, "record"))
	}
	h.print("head  %s\n", bold(r.Head))
	if head == "" {
		h.print("%s\n", faint("Note the head elsewhere and give it to --head later: only then is a cut-off end, or a chain written anew, found."))
	}
}

func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// Records prints {"type":"audit",…}, one a line; see [audit.Record].
func (j JSON) Records(records []audit.Record) {
	for _, r := range records {
		members, err := membersOf(r)
		if err != nil {
			j.Fault(fmt.Errorf("record %d: %w", r.Seq, err))
			continue
		}
		j.put(j.Out, "audit", members)
	}
}

// membersOf are the members of a value's JSON.
func membersOf(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	members := map[string]any{}
	return members, json.Unmarshal(raw, &members)
}

// Verified prints {"type":"verified","records":…,"head":…}.
func (j JSON) Verified(r audit.Report, head string) {
	m := map[string]any{"records": r.Records, "head": r.Head, "runs": r.Runs, "plans": r.Plans, "receipts": r.Receipts,
		"unsealedReceipts": r.Unsealed, "hidden": r.Hidden}
	if r.Records > 0 {
		m["from"], m["to"] = r.From, r.To
	}
	if head != "" {
		m["sinceHead"] = r.Since
	}
	j.put(j.Out, "verified", m)
}
