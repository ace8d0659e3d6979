// Package gateapi is what the gate and its clients say to one another over
// the gate's admin address, and the rules that a gate's doors amount to.
// Nothing here does I/O.
package gateapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
)

// MaxPage is how large a closed page may be, in bytes.
const MaxPage = 1 << 20

// MaxBody bounds what the admin address reads of a request, in bytes: a page,
// and a mark whose receipt and parameters hold the same page three times more.
const MaxBody = 16 << 20

// A Gate is the answer to GET /v1/doors.
type Gate struct {
	Listeners []Listener `json:"listeners"`
	// TrustedProxies are the networks whose X-Forwarded-For the gate believes.
	TrustedProxies []netip.Prefix `json:"trustedProxies,omitempty"`
	// Doors in the order in which they are matched.
	Doors []Door `json:"doors"`
}

// A Listener is one port on which customers come in.
type Listener struct {
	Scheme string `json:"scheme"` // "http" or "https"
	Port   int    `json:"port"`
}

// A Door is the answer to GET /v1/doors/{name}; its ETag is [Closed.Tag].
type Door struct {
	Name string `json:"name"`
	// Hosts that the door serves; empty serves any host that no other does.
	Hosts []string `json:"hosts,omitempty"`
	// URLs under which customers reach the door.
	URLs    []string `json:"urls"`
	Backend string   `json:"backend"`
	Health  string   `json:"health,omitempty"` // path on the backend
	// Closed is nil while the door is open.
	Closed *Closed `json:"closed,omitempty"`
	Counts Counts  `json:"counts"`
}

// A Closed is a door's closing and the mark that came with it: the body of
// PUT /v1/doors/{name}/closing.
type Closed struct {
	Closing edge.Closing `json:"closing"`
	Mark    *action.Mark `json:"mark,omitempty"`
}

// Counts are a door's requests since the gate's start.
type Counts struct {
	Served   int64 `json:"served"`   // answered by the application
	Closed   int64 `json:"closed"`   // answered by the closed page
	Failed   int64 `json:"failed"`   // the application did not answer
	InFlight int64 `json:"inFlight"` // with the application now, WebSockets included
}

// Health is the answer to GET /v1/doors/{name}/health: what the backend itself
// says, behind the curtain.
type Health struct {
	OK     bool   `json:"ok"`
	URL    string `json:"url"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

// A Problem is every answer that is no success, after RFC 9457.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Doors lists the names of all doors, where one was not found.
	Doors []string `json:"doors,omitempty"`
}

// Tag is the entity tag of a door's closing, by content: a door that is as it
// was has the tag that it had. A nil c is an open door.
func (c *Closed) Tag() (string, error) {
	if c == nil {
		return `"open"`, nil
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("closing: %w", err)
	}
	sum := sha256.Sum256(raw)
	return `"` + hex.EncodeToString(sum[:16]) + `"`, nil
}
