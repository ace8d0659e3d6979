// Package fault holds the error that an operator reads.
//
// A [Fault] says what happened, to which object, what is changed right now,
// and what to do next. Drivers wrap plain errors with %w and raise a Fault
// only where they know something that the engine cannot; each face of noren
// has one renderer for faults, and nothing else formats an error.
package fault

import (
	"fmt"
	"strings"
)

// A Code is the kind of a fault. There are few, and each has an exit code.
type Code string

// The codes.
const (
	Invalid     Code = "invalid"      // what the user gave is wrong; nothing was touched
	NotFound    Code = "not_found"    // the object does not exist
	Denied      Code = "denied"       // a permission is missing
	Unavailable Code = "unavailable"  // an outside system does not answer; trying again may help
	Drift       Code = "drift"        // the target is in neither of its receipt's states
	CheckFailed Code = "check_failed" // a check said no
	Locked      Code = "locked"       // another run holds the entrance
	Stranded    Code = "stranded"     // changed, and undo failed, was refused or is not seen: a person must act
	Interrupted Code = "interrupted"  // stopped by a person
	Internal    Code = "internal"     // this is a bug in noren
)

// Exit codes of the noren command. They are API: docs/reference/exit-codes.md
// and a test keep them.
const (
	ExitDone        = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitHasChanges  = 3 // plan --detailed-exit-code
	ExitCheckFailed = 10
	ExitDrift       = 11
	ExitLocked      = 12
	ExitStranded    = 20
	ExitInterrupted = 130
)

// Exit returns the exit code that stands for c.
func (c Code) Exit() int {
	switch c {
	case Invalid:
		return ExitUsage
	case Drift:
		return ExitDrift
	case CheckFailed:
		return ExitCheckFailed
	case Locked:
		return ExitLocked
	case Stranded:
		return ExitStranded
	case Interrupted:
		return ExitInterrupted
	default:
		return ExitError
	}
}

// A Position is a place in a file that a person wrote. Line and Column start
// at 1. Excerpt is the offending line, without its line break.
type Position struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Excerpt string `json:"excerpt,omitempty"`
}

func (p Position) String() string {
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// A Fault is an error made for the person who must act on it.
type Fault struct {
	Code Code
	// Summary is short and constant, without names, so that it can be
	// recognised and searched.
	Summary string
	// Detail says in full sentences what is wrong, with the object and the
	// environment, then why it matters.
	Detail string
	// At is the place in the user's file, for faults in what was written there.
	At *Position
	// Left says what is changed right now. Every fault raised after a run's
	// first write fills it.
	Left string
	// Try holds what to do next: commands and file fragments, each printed
	// alone so that it can be pasted.
	Try []string
	// Err is the cause, for errors.Is and for logs.
	Err error
}

// Error gives the fault on one line, for logs and for wrapping.
func (f *Fault) Error() string {
	var b strings.Builder
	if f.At != nil {
		b.WriteString(f.At.String() + ": ")
	}
	b.WriteString(f.Summary)
	if f.Detail != "" {
		b.WriteString(": " + f.Detail)
	}
	if f.Err != nil && !strings.Contains(f.Detail, f.Err.Error()) {
		b.WriteString(": " + f.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Is compares codes, so that errors.Is(err, &Fault{Code: Drift}) works.
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	return ok && t.Code == f.Code && t.Summary == "" && t.Detail == ""
}

// Of returns every fault in err, including those joined by errors.Join or
// wrapped below one another's text, each of those in the same words once. A plain
// error joined beside others, or standing alone, becomes a fault of code Internal.
// Of(nil) is empty.
func Of(err error) []*Fault {
	if err == nil {
		return nil
	}
	if all := distinct(find(err)); len(all) > 0 {
		return all
	}
	return []*Fault{{Code: Internal, Summary: "unexpected error", Detail: err.Error(), Err: err}}
}

// distinct leaves out what has been said before in the same words: credentials that
// have expired fail everything that was asked side by side.
func distinct(all []*Fault) []*Fault {
	said := map[string]bool{}
	var out []*Fault
	for _, f := range all {
		if key := f.Error() + "\x00" + f.Left; !said[key] {
			said[key] = true
			out = append(out, f)
		}
	}
	return out
}

func find(err error) []*Fault {
	switch e := err.(type) {
	case *Fault:
		return []*Fault{e}
	case interface{ Unwrap() error }:
		if below := e.Unwrap(); below != nil {
			return find(below)
		}
	case interface{ Unwrap() []error }:
		return among(err, e.Unwrap())
	}
	return nil
}

// among looks into errors that one error holds. Those of errors.Join are news
// each; those of fmt.Errorf with several %w are parts of one sentence, and the
// plain ones among them (a sentinel) are no faults of their own.
func among(err error, held []error) []*Fault {
	text := make([]string, len(held))
	for i, e := range held {
		text[i] = e.Error()
	}
	joined := err.Error() == strings.Join(text, "\n")
	var all []*Fault
	for _, e := range held {
		if joined {
			all = append(all, Of(e)...)
		} else {
			all = append(all, find(e)...)
		}
	}
	return all
}

// ExitOf returns the exit code for err: that of its gravest fault, stranded
// before everything else.
func ExitOf(err error) int {
	order := []Code{Stranded, Drift, CheckFailed, Interrupted, Locked, Denied, NotFound, Unavailable, Invalid, Internal}
	worst, rank := ExitDone, len(order)
	for _, f := range Of(err) {
		for i, c := range order {
			if f.Code == c && i < rank {
				worst, rank = c.Exit(), i
			}
		}
	}
	if err != nil && worst == ExitDone {
		return ExitError
	}
	return worst
}
