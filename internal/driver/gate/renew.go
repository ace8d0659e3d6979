package gate

import (
	"slices"

	"github.com/noren-dev/noren/internal/edge"
)

// Renew implements driver.TypedRenewer: the same closing with another page.
func (d *closeChange) Renew(s *DoorState, page edge.Response, marks []string) (*DoorState, error) {
	if s.Closing == nil || !slices.Contains(marks, s.Closing.Page.Mark) {
		return s, nil
	}
	closing := *s.Closing
	closing.Page = page
	return &DoorState{Closing: &closing}, nil
}
