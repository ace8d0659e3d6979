package catalog

import (
	"strings"
	"testing"
)

// TestWithout leaves out kinds of entrance and workload, also those that an
// environment has of its own, and leaves the catalog as it was.
func TestWithout(t *testing.T) {
	c := load(t)
	count := func(c *Catalog) (doors, others int) {
		for _, env := range c.Environments {
			services, err := c.Services(env.Name)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range services {
				for _, e := range s.Entrances {
					if strings.HasPrefix(e.Kind, "gate/") {
						doors++
					} else {
						others++
					}
				}
			}
		}
		return doors, others
	}
	doors, others := count(c)
	if doors == 0 || others == 0 {
		t.Fatalf("the catalog has %d doors of a gate and %d other entrances: nothing is shown by it", doors, others)
	}
	less := c.Without(func(kind string) bool { return strings.HasPrefix(kind, "gate/") })
	if d, o := count(less); d != 0 || o != others {
		t.Errorf("without doors: %d doors, %d others; want 0 and %d", d, o, others)
	}
	if d, o := count(c); d != doors || o != others {
		t.Errorf("the catalog itself has %d and %d now, want %d and %d", d, o, doors, others)
	}
}
