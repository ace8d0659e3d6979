package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// TestRingsAreDrawn shows what rings while a run is drawn, and no longer once it
// is quiet.
func TestRingsAreDrawn(t *testing.T) {
	t.Parallel()
	m := &model{now: time.Now, id: "close-1", run: run.New("close-1", &plan.Plan{Kind: plan.Close}, "", "mika@laptop", time.Now())}
	drawn := func() string { return fmt.Sprint(m.View().Content) }
	m.Update(ringing{"rings in prod: OrdersSlow"})
	if !strings.Contains(drawn(), "OrdersSlow") {
		t.Errorf("drawn:\n%s", drawn())
	}
	m.Update(ringing(nil))
	if strings.Contains(drawn(), "OrdersSlow") {
		t.Errorf("still drawn:\n%s", drawn())
	}
}
