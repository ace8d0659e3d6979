// Package appstatus is the document that mobile apps and other clients read at
// launch: what works, what is closed, until when, what is coming, and which
// version of an app is the oldest that still works. A [Document] is data, with
// the promise that docs/how-to/mobile-apps.md makes of its format; a [Handler]
// serves one.
//
//	noren close ──▶ driver appstatus ──▶ file ──▶ gate, page server, any web server ──▶ apps
//
// Whoever serves the document makes it true for the moment, with [Document.At]:
// a closing whose end has passed is overdue, an announced window that has
// passed is gone. What reads it must go on working without it: see Client's
// rules in the how-to.
package appstatus
