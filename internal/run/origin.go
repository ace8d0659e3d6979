package run

import (
	"cmp"
	"fmt"
	"strings"
)

// SignalSent is a signal on its way: who gave it, and from where. The run
// acknowledges it with [Signalled] when it takes it.
const SignalSent Type = "signal.sent"

// An Origin is where something that a person or a process did came from, as
// far as the process can tell. It is what the machine says of itself: whoever
// controls the machine controls it.
type Origin struct {
	// User is the account of the operating system, and SudoUser the account
	// that became it by sudo.
	User     string `json:"user,omitempty"`
	SudoUser string `json:"sudoUser,omitempty"`
	Host     string `json:"host,omitempty"`
	// Client is the address from which the person's SSH session came.
	Client  string `json:"client,omitempty"`
	PID     int    `json:"pid,omitempty"`
	Version string `json:"version,omitempty"` // of noren
	State   string `json:"state,omitempty"`   // the state directory
	// Command is the command as typed, without secrets.
	Command string `json:"command,omitempty"`
}

// Who is the person in one word, "ann@host".
func (o *Origin) Who() string {
	if o == nil || o.User == "" {
		return ""
	}
	who := o.User
	if o.SudoUser != "" {
		who = o.SudoUser + " as " + who
	}
	if o.Host != "" {
		who += "@" + o.Host
	}
	return who
}

// Where is the place in one line: "203.0.113.7 by ssh, pid 4711, noren v1.2.0".
func (o *Origin) Where() string {
	if o == nil {
		return ""
	}
	var parts []string
	if o.Client != "" {
		parts = append(parts, o.Client+" by ssh")
	}
	if o.PID != 0 {
		parts = append(parts, fmt.Sprintf("pid %d", o.PID))
	}
	if o.Version != "" {
		parts = append(parts, "noren "+o.Version)
	}
	return strings.Join(parts, ", ")
}

// A Confirmation is how the person said yes.
type Confirmation struct {
	// Protected tells that the environment was one to be named in full.
	Protected bool `json:"protected,omitempty"`
	How       How  `json:"how"`
	// By is who said it, "ann@host".
	By string `json:"by,omitempty"`
}

// How is a way to say yes.
type How string

// The ways to say yes. NotAsked is a script's, in an environment that is not
// protected.
const (
	Typed    How = "typed"   // the environment's name, typed when asked
	Flagged  How = "flag"    // the environment's name, by --confirm
	Answered How = "yes"     // yes, when asked
	YesFlag  How = "yesflag" // --yes
	NotAsked How = "notasked"
	// Rehearsed is no yes: none is needed for a copy.
	Rehearsed How = "rehearsed"
)

// String is the way as a clause: "confirmed by typing its name".
func (h How) String() string {
	said, ok := map[How]string{
		Typed:     "confirmed by typing the environment's name",
		Flagged:   "confirmed by --confirm",
		Answered:  "confirmed when asked",
		YesFlag:   "confirmed by --yes",
		NotAsked:  "not asked: the environment is not protected",
		Rehearsed: "not asked: a copy was closed and opened, nothing real",
	}[h]
	if !ok {
		return cmp.Or(string(h), "not recorded")
	}
	return said
}
