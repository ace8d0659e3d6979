package gate

import (
	"context"
	"fmt"

	"github.com/noren-dev/noren/internal/driver"
)

// findTraces lists the marks on closed doors, and the doors that are closed
// without one.
func findTraces(ctx context.Context, c *client) (*driver.Traces, error) {
	g, err := c.gate(ctx)
	if err != nil {
		return nil, err
	}
	found := &driver.Traces{Seen: []driver.Seen{{Kind: "doors", Count: len(g.Doors)}}}
	for _, d := range g.Doors {
		switch {
		case d.Closed == nil:
		case d.Closed.Mark == nil:
			found.Unmarked = append(found.Unmarked, driver.Unmarked{
				Target: c.target(d.Name), Ours: true,
				What:   fmt.Sprintf("door %s is closed (page %s) and says nothing of who closed it", d.Name, d.Closed.Closing.Mark),
				Advice: []string{c.byHand(d.Name)},
			})
		default:
			m := driver.FoundMark{On: c.target(d.Name), Mark: *d.Closed.Mark}
			if err := m.Mark.Check(); err != nil {
				m.Wrong = err.Error()
			}
			found.Marks = append(found.Marks, m)
		}
	}
	return found, nil
}
