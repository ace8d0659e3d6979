// Package archtest keeps the rules of ARCHITECTURE.md as tests: which package
// may import which, and what no package may do. It reads the source of the
// whole module, so that it also sees files for other systems, and it needs no
// code to compile but its own.
//
// A rule says why it exists. When a rule is wrong, change it here and in
// ARCHITECTURE.md together, with a record in docs/decisions.
package archtest
