package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// CloseParams are the parameters of gate/door.close.
type CloseParams struct {
	Door    string       `json:"door"`
	Closing edge.Closing `json:"closing"`
}

// Validate finds what is missing without I/O.
func (p CloseParams) Validate() error {
	if p.Door == "" {
		return errors.New("door is missing: the name of a door in the gate's configuration")
	}
	return nil
}

// DoorState is the state of a door: its closing, absent while it is open. A
// door that the gate does not have is an error, not a state: no change of ours
// makes one.
type DoorState struct {
	Closing *edge.Closing `json:"closing,omitempty"`
}

// closeChange closes a door. The gate guards each write with the tag of what
// was read (If-Match): between reading and writing nothing can slip in.
type closeChange struct {
	client *client
	params CloseParams
	mark   *action.Mark
}

func openClose(c *client, p CloseParams) (driver.Typed[DoorState], error) {
	return &closeChange{client: c, params: p}, nil
}

// Target implements driver.Typed.
func (d *closeChange) Target() string { return d.client.target(d.params.Door) }

// Observe implements driver.Typed.
func (d *closeChange) Observe(ctx context.Context) (*DoorState, error) {
	door, _, err := d.client.door(ctx, d.params.Door)
	if err != nil {
		return nil, err
	}
	return stateOf(door), nil
}

// Propose implements driver.Typed. A door that another run closed is not closed
// over: that run would find its page gone, and opening would bring it back.
func (d *closeChange) Propose(from *DoorState) (*DoorState, error) {
	if from != nil && from.Closing != nil && from.Closing.Mark != d.params.Closing.Mark {
		return nil, &fault.Fault{Code: fault.Locked, Summary: "door is closed by another run",
			Detail: fmt.Sprintf("Door %s of the gate at %s shows the page %s, which no run of this state directory put up.", d.params.Door, d.client.admin, from.Closing.Mark),
			Try:    []string{"noren leftovers --env " + d.client.env}, Err: action.ErrDrift}
	}
	return &DoorState{Closing: &d.params.Closing}, nil
}

// Apply implements driver.Typed.
func (d *closeChange) Apply(ctx context.Context, from, to *DoorState) error {
	done, tag, err := d.compare(ctx, from, to)
	if done || err != nil {
		return err
	}
	var closed *gateapi.Closed
	if to != nil && to.Closing != nil {
		closed = &gateapi.Closed{Closing: *to.Closing, Mark: d.markFor(to)}
	}
	err = d.client.turn(ctx, d.params.Door, tag, closed)
	if !errors.Is(err, errMoved) {
		return err
	}
	// Someone was faster, perhaps to the same end.
	if done, _, again := d.compare(ctx, from, to); done || again != nil {
		return again
	}
	return fmt.Errorf("%w: %w", action.ErrUnavailable, err)
}

// compare reads the door and tells whether it is in to already. Anything but
// from and to is drift.
func (d *closeChange) compare(ctx context.Context, from, to *DoorState) (done bool, tag string, err error) {
	door, tag, err := d.client.door(ctx, d.params.Door)
	if err != nil {
		return false, "", err
	}
	now := stateOf(door)
	switch {
	case same(now, to):
		return true, tag, nil
	case same(now, from):
		return false, tag, nil
	}
	return false, tag, fmt.Errorf("door %s of the gate at %s should be %s and is %s%s; find out who did that before you go on: %w",
		d.params.Door, d.client.admin, inWords(from), inWords(now), byWhom(door), action.ErrDrift)
}

func (d *closeChange) markFor(to *DoorState) *action.Mark {
	if d.mark == nil {
		return nil
	}
	var marked DoorState
	if json.Unmarshal(d.mark.Receipt.To.Fields, &marked) != nil || !same(&marked, to) {
		return nil
	}
	return d.mark
}

// Marked implements driver.TypedMarker.
func (d *closeChange) Marked(m action.Mark) driver.Typed[DoorState] {
	marked := *d
	marked.mark = &m
	return &marked
}

func stateOf(d gateapi.Door) *DoorState {
	if d.Closed == nil {
		return &DoorState{}
	}
	return &DoorState{Closing: &d.Closed.Closing}
}

// same compares what the states say, whichever way they were built: an empty
// list and none are one.
func same(a, b *DoorState) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
