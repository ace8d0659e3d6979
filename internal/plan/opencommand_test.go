package plan_test

import (
	"testing"

	"github.com/noren-dev/noren/internal/plan"
)

// TestOpenCommand: what opens a closing of some services opens no other's.
func TestOpenCommand(t *testing.T) {
	t.Parallel()
	p := &plan.Plan{Environment: plan.Environment{Name: "prod"}, Services: []plan.Service{{Name: "shop"}, {Name: "api"}}}
	if got := p.OpenCommand(); got != "noren open shop api --env prod" {
		t.Errorf("of some: %s", got)
	}
	p.Whole = true
	if got := p.OpenCommand(); got != "noren open --env prod" {
		t.Errorf("of all: %s", got)
	}
}
