package e2e

import (
	"syscall"
	"testing"
)

// TestKeeperOpens: a keeper opens at the end what was closed to open by itself
// and has been extended meanwhile; workloads are started before customers are
// let in, and everything is as it was.
func TestKeeperOpens(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.working = true })
	state, before := t.TempDir(), s.objects(t)
	s.noren(t, state, "close", "shop", "--env", "prod", "--for", "1h", "--auto-open", "--confirm", "prod").must(t, 0).says(t, "No keeper is at work")
	if s.on(t, "solo") {
		t.Error("automated sync of what keeps a resting workload is on")
	}
	keeper := s.start(t, state, "", "keep")
	keeper.says(t, "Keeping "+state)
	s.noren(t, state, "extend", "--env", "prod", "--for", "2h", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "status").must(t, 0).says(t, "opens by itself at", "at rest", "extended from")
	s.noren(t, state, "extend", "--env", "prod", "--for", "1s", "--shorten", "--confirm", "prod").must(t, 0)
	keeper.says(t, "shop in prod: open again, by run open-")
	if !s.on(t, "solo") {
		t.Error("the pause did not end with the closing")
	}
	if s.ready(t, deployments, "worker") != 3 {
		t.Error("the workloads do not work again")
	}
	if code, _ := s.get(t, "shop", "/"); code != 200 {
		t.Errorf("shop answers %d", code)
	}
	s.same(t, before)
	if err := keeper.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-keeper.done
}
