package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/fault"
)

// LongestWindow is how long a closing may be planned for.
const LongestWindow = 7 * 24 * time.Hour

// ParseWindow returns when a closing shall end, from what was given as --for
// and --until. Neither: the zero time, which means unknown. Times without an
// offset are in zone.
//
// It refuses a time that is not after now, is more than [LongestWindow] away,
// does not exist in the zone (a clock is put forward over it), or exists twice
// (a clock is put back) so that an offset must be given.
func ParseWindow(now time.Time, zone *time.Location, forFlag, untilFlag string) (time.Time, error) {
	forFlag, untilFlag = strings.TrimSpace(forFlag), strings.TrimSpace(untilFlag)
	if zone == nil {
		zone = time.UTC
	}
	var end time.Time
	var err error
	switch {
	case forFlag != "" && untilFlag != "":
		return end, window("two ends of the window", fmt.Sprintf("--for %s and --until %q both say when it ends. Give one.", forFlag, untilFlag),
			"--for "+forFlag, "--until "+quoteFlag(untilFlag))
	case forFlag != "":
		end, err = after(now, forFlag)
	case untilFlag != "":
		end, err = until(now, zone, untilFlag)
	default:
		return end, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	if d := end.Sub(now); d > LongestWindow {
		return time.Time{}, window("window is too long", fmt.Sprintf(
			"That ends in %s, and the longest window is 7 days: a door that stays closed longer is more often forgotten than meant.", Duration(d)), "--for 168h")
	}
	return end.In(zone), nil
}

func window(summary, detail string, try ...string) *fault.Fault {
	return &fault.Fault{Code: fault.Invalid, Summary: summary, Detail: detail, Try: try}
}

func quoteFlag(s string) string {
	if strings.ContainsAny(s, " ") {
		return "'" + s + "'"
	}
	return s
}

func after(now time.Time, s string) (time.Time, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		var try []string
		if d, err := time.ParseDuration(s + "m"); err == nil && d > 0 {
			try = []string{"--for " + s + "m", "--for " + s + "h"}
		}
		if n, ok := strings.CutSuffix(s, "d"); ok {
			if days, err := strconv.ParseFloat(n, 64); err == nil && days > 0 && days <= 7 {
				try = []string{fmt.Sprintf("--for %gh", days*24)}
			}
		}
		return time.Time{}, window("malformed duration", fmt.Sprintf("%q is not a length of time, such as 30m, 2h or 1h30m.", s), try...)
	case d <= 0:
		return time.Time{}, window("window is empty", fmt.Sprintf("--for %s ends no later than it begins.", s))
	}
	return now.Add(d), nil
}

func until(now time.Time, zone *time.Location, s string) (time.Time, error) {
	given := s
	s = strings.Replace(s, "T", " ", 1)
	for _, layout := range []string{"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04 Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, inFuture(now, t, zone)
		}
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if w, err := time.Parse(layout, s); err == nil {
			return resolve(now, zone, w)
		}
	}
	clock, err := time.Parse("15:04", s)
	if err != nil {
		try := []string{"--until 03:00", "--until '" + now.In(zone).AddDate(0, 0, 1).Format("2006-01-02") + " 03:00'"}
		if s == "24:00" {
			try = []string{"--until 00:00"}
		}
		return time.Time{}, window("malformed time", fmt.Sprintf(
			`%q is not a time, such as 03:00, "2006-01-02 03:00" or 2006-01-02T03:00:00+09:00.`, given), try...)
	}
	return nextClock(now, zone, clock)
}

// nextClock returns the next time at which clocks show the hour and minute.
// If they skip it on the day it would next be, that is an error: what the
// operator meant cannot be known.
func nextClock(now time.Time, zone *time.Location, clock time.Time) (time.Time, error) {
	y, m, d := now.In(zone).Date()
	for day := 0; ; day++ {
		w := time.Date(y, m, d+day, clock.Hour(), clock.Minute(), 0, 0, time.UTC)
		at, gap := instants(zone, w)
		if gap != nil {
			if gap.at.After(now) {
				return time.Time{}, gap.fault(zone, w)
			}
			continue
		}
		if len(at) > 0 && at[len(at)-1].After(now) {
			return resolve(now, zone, w)
		}
	}
}

// resolve returns the instant after now at which clocks in zone show w, which
// is in UTC.
func resolve(now time.Time, zone *time.Location, w time.Time) (time.Time, error) {
	if now.Sub(w) > LongestWindow { // past in any zone; the zones of long ago are odd
		return time.Time{}, inFuture(now, w, time.UTC)
	}
	at, gap := instants(zone, w)
	switch {
	case gap != nil:
		return time.Time{}, gap.fault(zone, w)
	case len(at) == 0:
		return time.Time{}, window("time cannot be used", fmt.Sprintf("The clocks of %s never show %s.", zone, w.Format("2006-01-02 15:04")))
	}
	if len(at) > 1 && at[0].After(now) {
		first, second := at[0].Format(time.RFC3339), at[1].Format(time.RFC3339)
		return time.Time{}, window("time exists twice", fmt.Sprintf(
			"On %s clocks in %s are put back, and show %s twice: %s, and again %s later. Say which, with its offset.",
			w.Format("2006-01-02"), zone, w.Format("15:04"), first, Duration(at[1].Sub(at[0]))), "--until "+first, "--until "+second)
	}
	last := at[len(at)-1]
	return last, inFuture(now, last, zone)
}

func inFuture(now, t time.Time, zone *time.Location) error {
	ago := now.Sub(t)
	switch {
	case ago < 0:
		return nil
	case ago < time.Second:
		return window("time is past", "That is now: the window would be empty.")
	}
	return window("time is past", fmt.Sprintf("%s was %s ago. It is now %s.", t.In(zone).Format("2006-01-02 15:04 -07:00"), Duration(ago),
		now.In(zone).Format("2006-01-02 15:04 -07:00")))
}

// A gap is a change of clocks that skips some times of day.
type gap struct {
	at       time.Time // the instant
	from, to time.Time // what clocks show before and after, in UTC
}

func (g gap) fault(zone *time.Location, w time.Time) *fault.Fault {
	detail := fmt.Sprintf("In %s clocks go from %s straight to %s on %s, so %s does not exist.", zone,
		g.from.Format("15:04"), g.to.Format("15:04"), g.from.Format("2006-01-02"), w.Format("15:04"))
	if g.from.YearDay() != g.to.YearDay() && g.to.Sub(g.from) >= 24*time.Hour {
		detail = fmt.Sprintf("In %s %s does not exist: clocks go straight to %s.", zone, w.Format("2006-01-02"), g.to.Format("2006-01-02 15:04"))
	}
	return window("time does not exist", detail, "--until "+g.at.In(zone).Format(time.RFC3339))
}

// instants returns the instants at which clocks in zone show w (given as UTC),
// in order. If there are none, gap says which change of clocks skips it.
func instants(zone *time.Location, w time.Time) (all []time.Time, skipped *gap) {
	const reach = 48 * time.Hour // more than twice any offset
	for t := w.Add(-reach).In(zone); t.Before(w.Add(reach)); {
		begin, end := t.ZoneBounds()
		_, offset := t.Zone()
		at := w.Add(-time.Duration(offset) * time.Second)
		if !at.Before(begin) && (end.IsZero() || at.Before(end)) {
			all = append(all, at.In(zone))
		}
		if end.IsZero() {
			break
		}
		_, next := end.Zone()
		from := end.UTC().Add(time.Duration(offset) * time.Second)
		to := end.UTC().Add(time.Duration(next) * time.Second)
		if !w.Before(from) && w.Before(to) {
			skipped = &gap{end, from, to}
		}
		t = end
	}
	if len(all) > 0 {
		skipped = nil
	}
	return all, skipped
}

// Duration words a length of time for people, to the two largest units:
// "2 d 3 h", "1 h 30 min", "45 s".
func Duration(d time.Duration) string {
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	var parts []string
	for _, u := range units {
		n := d / u.size
		d -= n * u.size
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
		}
		if len(parts) == 2 || len(parts) == 1 && n == 0 {
			break
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}
