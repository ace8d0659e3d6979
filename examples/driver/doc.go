// Package flagfile is the example of CONTRIBUTING.md, "Add a driver in 20
// minutes": a complete driver with one change. It sets a key in a file of flags
// that an application reads, such as
//
//	maintenance=off
//	colour=blue
//
// It is compiled and tested with noren, and it is not part of it.
package flagfile
