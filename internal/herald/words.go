package herald

import (
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A voice is how people are told in a language. Formats take the services and
// the environment, in this order.
type voice struct {
	started map[plan.Kind]string
	done    map[plan.Kind]string
	waiting string
	undoing string
	undone  string
	stopped string
	strand  string
	late    string

	services, environment, since, until, by, reason, why, left, unproved, untold, opened, run string

	again     string // carried on
	stage     string
	answered  string // who, what
	extended  string // until, who
	unknown   string // no end was given
	date      string
	separator string

	// What a reminder says; formats take the services and the environment, and
	// those with a time its length or the clock after them. Without ending, it is
	// told as the keeper wrote it, which is in English.
	ending, endsNow, lateBy, reopened string
	topics                            map[run.Topic]string
	byItself, stop                    string
	hour, minute, second              string
}

// reminder is what the keeper tells of a closing.
func (v voice) reminder(m run.Reminder, p *plan.Plan) string {
	if v.ending == "" {
		return m.Text
	}
	who, env, end := strings.Join(m.Services, v.separator), p.Environment.Name, v.clock(m.Until, p)
	var parts []string
	switch left := m.Until.Sub(m.At); {
	case m.Topic == run.Opened:
		parts = append(parts, fmt.Sprintf(v.reopened, who, env))
	case left >= time.Second:
		parts = append(parts, fmt.Sprintf(v.ending, who, env, v.length(left), end))
	case left > -time.Minute:
		parts = append(parts, fmt.Sprintf(v.endsNow, who, env, end))
	default:
		parts = append(parts, fmt.Sprintf(v.lateBy, who, env, v.length(-left), end))
	}
	switch {
	case v.topics[m.Topic] != "":
		parts = append(parts, v.topics[m.Topic])
	case p.AutoOpen && m.Topic == run.Ending && m.Why == "" && m.At.Before(m.Until):
		parts = append(parts, v.byItself)
	}
	if m.Why != "" {
		parts = append(parts, m.Why)
	}
	return strings.Join(parts, v.stop)
}

// length is how long something lasts, as people say it.
func (v voice) length(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d%s", int(d.Seconds()), v.second)
	}
	d = d.Round(time.Minute)
	text := ""
	if h := int(d.Hours()); h > 0 {
		text = fmt.Sprintf("%d%s", h, v.hour)
	}
	if m := int(d.Minutes()) % 60; m > 0 || text == "" {
		text += fmt.Sprintf("%d%s", m, v.minute)
	}
	return text
}

// voiceOf returns the voice of a language tag: Japanese, or else English.
func voiceOf(tag string) voice {
	if base, _, _ := strings.Cut(strings.ToLower(tag), "-"); base == "ja" {
		return voice{
			started: map[plan.Kind]string{plan.Close: "閉鎖を開始: %s（%s）", plan.Open: "再開を開始: %s（%s）", plan.Extend: "終了時刻を変更中: %s（%s）"},
			done:    map[plan.Kind]string{plan.Close: "閉鎖中: %s（%s）", plan.Open: "再開しました: %s（%s）", plan.Extend: "終了時刻を変更しました: %s（%s）"},
			waiting: "判断待ち: %s（%s）", undoing: "元に戻しています: %s（%s）", undone: "元に戻しました: %s（%s）", stopped: "途中で停止: %s（%s）",
			strand: "要対応（途中のまま）: %s（%s）", late: "再開が遅れています: %s（%s）",
			services: "サービス", environment: "環境", since: "開始", until: "終了予定", by: "実行者", reason: "理由", why: "原因", left: "現在の状態", unproved: "未確認", untold: "未通知", opened: "再開", run: "run",
			again: "中断から続行", stage: "段階: %s", answered: "%s の指示: %s", extended: "終了予定を %s に変更（%s）", unknown: "未定", date: "2006-01-02 15:04 MST", separator: "、",
			ending: "%s（%s）の閉鎖は%s後の %s に終了予定です", endsNow: "%s（%s）の閉鎖の終了予定時刻 %s になりました", lateBy: "%s（%s）の再開が%s遅れています（予定 %s）", reopened: "%s（%s）は再開しました",
			topics: map[run.Topic]string{run.Unready: "アプリケーションの準備ができていないため閉鎖を続けます", run.Drifted: "noren の変更が他で書き換えられました。どちらを残すか選んでください",
				run.Failed: "再開に失敗しました。自動では再開しません"},
			byItself: "準備ができていれば自動で再開します", stop: "。", hour: "時間", minute: "分", second: "秒",
		}
	}
	return voice{
		started: map[plan.Kind]string{plan.Close: "Closing %s in %s", plan.Open: "Opening %s in %s", plan.Extend: "Moving the end of %s in %s"},
		done:    map[plan.Kind]string{plan.Close: "Closed: %s in %s", plan.Open: "Open again: %s in %s", plan.Extend: "End moved: %s in %s"},
		waiting: "Waiting for a person: %s in %s", undoing: "Putting everything back: %s in %s", undone: "Put back: %s in %s", stopped: "Stopped half way: %s in %s",
		strand: "STRANDED, a person must act: %s in %s", late: "LATE: %s in %s",
		services: "Services", environment: "Environment", since: "Since", until: "Until", by: "By", reason: "Reason", why: "Why", left: "Changed now", unproved: "Not proved", untold: "Not told", opened: "Opened by", run: "Run",
		again: "carried on after it was cut off", stage: "stage %s", answered: "%s says: %s", extended: "the end is moved to %s, by %s", unknown: "not known", date: "2006-01-02 15:04 MST", separator: ", ",
	}
}

// sign is a pictograph for how a run stands: colour is never alone in telling it.
func sign(r *run.Run, late bool) string {
	switch {
	case r.Status == run.Done && late:
		return "⏰"
	case r.Status == run.Done && r.Plan.Kind == plan.Open:
		return "✅"
	case r.Status == run.Done:
		return "⛔"
	case r.Status == run.Undone:
		return "↩️"
	case r.Status == run.Undoing:
		return "↩️"
	case r.Status == run.Stranded:
		return "🆘"
	case r.Status == run.Waiting, r.Status == run.Stopped:
		return "⚠️"
	}
	return "🚧"
}

func (v voice) title(r *run.Run, late bool) string {
	format := v.started[r.Plan.Kind]
	switch {
	case r.Status == run.Done && late:
		format = v.late
	case r.Status == run.Done:
		format = v.done[r.Plan.Kind]
	case r.Status == run.Waiting:
		format = v.waiting
	case r.Status == run.Undoing:
		format = v.undoing
	case r.Status == run.Undone:
		format = v.undone
	case r.Status == run.Stopped:
		format = v.stopped
	case r.Status == run.Stranded:
		format = v.strand
	}
	return fmt.Sprintf(format, strings.Join(names(r.Plan), v.separator), r.Plan.Environment.Name)
}

func (v voice) clock(t time.Time, p *plan.Plan) string {
	if zone, err := time.LoadLocation(p.Zone); err == nil {
		t = t.In(zone)
	}
	return t.Format(v.date)
}

func names(p *plan.Plan) []string {
	var all []string
	for _, s := range p.Services {
		all = append(all, s.Name)
	}
	return all
}
