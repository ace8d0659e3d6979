package herald

import (
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// TestReminders says what a keeper reminds of in the language of the closing. What
// it found out is told as it was said.
func TestReminders(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)
	p := &plan.Plan{Zone: "Asia/Tokyo", AutoOpen: true, Environment: plan.Environment{Name: "prod"}}
	for _, c := range []struct {
		m    run.Reminder
		want string
	}{
		{run.Reminder{Topic: run.Ending, At: end.Add(-65 * time.Minute)}, "shop、api（prod）の閉鎖は1時間5分後の 2026-11-24 00:30 JST に終了予定です。準備ができていれば自動で再開します"},
		{run.Reminder{Topic: run.Ending, At: end.Add(-20 * time.Second), Why: "it stays closed"}, "shop、api（prod）の閉鎖は20秒後の 2026-11-24 00:30 JST に終了予定です。it stays closed"},
		{run.Reminder{Topic: run.Ending, At: end}, "shop、api（prod）の閉鎖の終了予定時刻 2026-11-24 00:30 JST になりました"},
		{run.Reminder{Topic: run.Unready, At: end.Add(2 * time.Hour), Why: "it stays closed: no answer"}, "shop、api（prod）の再開が2時間遅れています（予定 2026-11-24 00:30 JST）。アプリケーションの準備ができていないため閉鎖を続けます。it stays closed: no answer"},
		{run.Reminder{Topic: run.Opened, At: end.Add(time.Minute)}, "shop、api（prod）は再開しました"},
	} {
		c.m.Until, c.m.Services, c.m.Text = end, []string{"shop", "api"}, "in English"
		if got := voiceOf("ja").reminder(c.m, p); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if got := voiceOf("en").reminder(c.m, p); got != "in English" {
			t.Errorf("got %s", got)
		}
	}
}
