package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
)

// ReadyParams are the parameters of gate/door.ready.
type ReadyParams struct {
	Door string `json:"door"`
}

// Validate finds what is missing without I/O.
func (p ReadyParams) Validate() error {
	if p.Door == "" {
		return errors.New("door is missing: the name of a door in the gate's configuration")
	}
	return nil
}

// readyCheck asks the gate to ask the application, behind the curtain: noren
// itself may not be able to reach it.
type readyCheck struct {
	client *client
	door   string
}

func openReady(c *client, p ReadyParams) (*readyCheck, error) {
	return &readyCheck{client: c, door: p.Door}, nil
}

// Target names the door.
func (r *readyCheck) Target() string { return r.client.target(r.door) }

// Check implements action.Check.
func (r *readyCheck) Check(ctx context.Context) (action.Verdict, error) {
	h, err := r.client.health(ctx, r.door)
	if err != nil {
		return action.Verdict{}, err
	}
	said := h.Error
	if said == "" {
		said = fmt.Sprintf("status %d", h.Status)
	}
	if h.OK {
		return action.Verdict{OK: true, Summary: fmt.Sprintf("the application behind door %s answers (%s, %s)", r.door, h.URL, said)}, nil
	}
	return action.Verdict{
		Summary:  fmt.Sprintf("the application behind door %s is not well", r.door),
		Findings: []string{fmt.Sprintf("%s: %s", h.URL, said)},
		Try:      []string{"curl -i " + h.URL + "   # on the gate's machine"},
	}, nil
}
