// Package audit is noren's record as a person who has to trust it sees it: a
// chain of links, each of which covers the one before; what each of them says;
// and forms of it that can be taken away and checked elsewhere.
//
// What the chain covers: every event of every run with who, when and from
// where; the digest of each plan, in the event that creates the run; and the
// digest of each receipt, in the event that commits the receipts. [Chain]
// holds the plans and receipts against these digests.
//
// What no chain can tell by itself: that somebody who can write the file has
// computed all of it anew, or has cut off its end. Against both there is the
// head, the last link's hash: written down elsewhere, it must be found again.
//
// The package does no I/O but on the readers and writers it is given.
package audit
