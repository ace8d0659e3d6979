package gate

import (
	"slices"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
)

// Shows implements driver.TypedRenewer: the gate sends pages of any size.
func (d *closeChange) Shows(s *DoorState, marks []string) (driver.Room, bool) {
	return driver.Room{}, s.Closing != nil && slices.Contains(marks, s.Closing.Page.Mark)
}

// Renew implements driver.TypedRenewer: the same closing with another page.
func (d *closeChange) Renew(s *DoorState, page edge.Response, marks []string) (*DoorState, error) {
	if _, ok := d.Shows(s, marks); !ok {
		return s, nil
	}
	closing := *s.Closing
	closing.Page = page
	return &DoorState{Closing: &closing}, nil
}
