// Package engine executes plans durably. It is the only package that knows
// the workflow library (DBOS Transact).
//
// One run is one workflow over the frozen plan that the store holds:
//
//	checks            nothing written; a check that fails ends the run undone
//	prepare           observe every target; compare with the plan its reader
//	                  approved; commit every receipt in one transaction
//	apply, settle     round by round; each step is one checkpoint
//	decide            a step failed or a person sent a signal: retry, skip,
//	                  undo or stop
//	undo              the receipts of what was begun, in reverse, each waited
//	                  for until it has taken effect
//
// Who is authoritative: the receipt for what was there before, the plan for
// what was approved, the store's events for what happened. Checkpoints only
// save work: if they are lost, the run starts again from its plan and its
// receipts, and every step that was done finds nothing left to do.
//
// What happens when the process dies:
//
//	before the receipts are committed   nothing was written; the run starts over
//	after, before an Apply              Apply runs, from the receipt's state
//	in an Apply, or before its answer   Apply runs again; it finds its own work
//	after, before the checkpoint        the same
//	while undoing                       the same, with the states exchanged
//	while waiting for a person          the signal waits in the store
//	a signal read, not yet taken        it is taken when the run is carried on
//
// An engine error, such as a full disk, ends the workflow and not the run: the
// next process begins another workflow of the same run. Going forward, that
// finds its work done; if the run was being taken back or told to stop, it goes
// straight there, and never forward again.
//
// One process at a time executes the runs of a state directory: it holds the
// lock on the file "executor". Others follow the events and may send signals;
// when the executor goes, the next that asks takes its place.
package engine
