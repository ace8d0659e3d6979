// Package rehearsal tries a closing and its opening out: on a copy of the live
// objects, through the very drivers and the very engine, or for real in an
// environment that is there for it. It tells how that went: how long each step
// took, what each kind of visitor saw at each moment, what has no undo, and how
// long the real thing should take.
//
// On a copy, three things are put in the place of the real ones, by
// configuration alone ([control.Reach]):
//
//   - the API servers, by package kubecopy;
//   - the front door, by one on this machine that answers as the rules say which
//     the drivers read from the copy (package edge, as in noren who-sees);
//   - the state directory, by one that is thrown away.
//
// It asks package control, as a face does.
package rehearsal
