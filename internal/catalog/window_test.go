package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/noren-dev/noren/internal/fault"
)

func zoneOf(t interface{ Fatal(...any) }, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, now, forFlag, until, want string }{
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "", "0001-01-01T00:00:00Z"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "30m", "", "2026-11-23T22:30:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "1h30m", "", "2026-11-23T23:30:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "168h", "", "2026-11-30T22:00:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "03:00", "2026-11-24T03:00:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "22:00", "2026-11-24T22:00:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "22:01", "2026-11-23T22:01:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T20:00:00Z", "", "07:00", "2026-11-24T07:00:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "2026-11-24 03:00", "2026-11-24T03:00:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", " 2026-11-24T03:00 ", "2026-11-24T03:00:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "2026-11-24 03:00:30", "2026-11-24T03:00:30+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "2026-11-23T18:00:00Z", "2026-11-24T03:00:00+09:00"},
		{"Asia/Tokyo", "2026-11-23T22:00:00+09:00", "", "2026-11-24 03:00 +09:00", "2026-11-24T03:00:00+09:00"},
		// The night clocks go forward, and the hour after the gap.
		{"America/New_York", "2026-03-08T01:00:00-05:00", "", "03:00", "2026-03-08T03:00:00-04:00"},
		{"America/New_York", "2026-03-08T01:00:00-05:00", "2h", "", "2026-03-08T04:00:00-04:00"},
		// 02:30 was skipped today; tomorrow it is there again.
		{"America/New_York", "2026-03-08T05:00:00-04:00", "", "02:30", "2026-03-09T02:30:00-04:00"},
		// Between the two 01:30 of the night clocks go back, only one is ahead.
		{"America/New_York", "2026-11-01T01:40:00-04:00", "", "01:30", "2026-11-01T01:30:00-05:00"},
		{"America/New_York", "2026-11-01T00:00:00-04:00", "", "2026-11-01T01:30-05:00", "2026-11-01T01:30:00-05:00"},
		{"America/New_York", "2026-11-01T00:00:00-04:00", "", "02:00", "2026-11-01T02:00:00-05:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseWindow(now, zoneOf(t, c.zone), c.forFlag, c.until)
		if err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("--for %q --until %q at %s: %s, %v; want %s", c.forFlag, c.until, c.now, got.Format(time.RFC3339), err, c.want)
		}
	}
}

func TestParseWindowRefuses(t *testing.T) {
	t.Parallel()
	tokyo, york := "Asia/Tokyo", "America/New_York"
	for _, c := range []struct{ zone, now, forFlag, until, want string }{
		{tokyo, "2026-11-23T22:00:00+09:00", "30m", "2026-11-24 03:00", `two ends of the window: --for 30m and --until "2026-11-24 03:00" both say when it ends. Give one. | --for 30m | --until '2026-11-24 03:00'`},
		{tokyo, "2026-11-23T22:00:00+09:00", "30", "", `malformed duration: "30" is not a length of time, such as 30m, 2h or 1h30m. | --for 30m | --for 30h`},
		{tokyo, "2026-11-23T22:00:00+09:00", "5", "", `malformed duration: "5" is not a length of time, such as 30m, 2h or 1h30m. | --for 5m | --for 5h`},
		{tokyo, "2026-11-23T22:00:00+09:00", "2d", "", `malformed duration: "2d" is not a length of time, such as 30m, 2h or 1h30m. | --for 48h`},
		{tokyo, "2026-11-23T22:00:00+09:00", "soon", "", `malformed duration: "soon" is not a length of time, such as 30m, 2h or 1h30m.`},
		{tokyo, "2026-11-23T22:00:00+09:00", "-5m", "", `window is empty: --for -5m ends no later than it begins.`},
		{tokyo, "2026-11-23T22:00:00+09:00", "0s", "", `window is empty: --for 0s ends no later than it begins.`},
		{tokyo, "2026-11-23T22:00:00+09:00", "169h", "", `window is too long: That ends in 7 d 1 h, and the longest window is 7 days: a door that stays closed longer is more often forgotten than meant. | --for 168h`},
		{tokyo, "2026-11-23T22:00:00+09:00", "", "2027-11-24 03:00", `window is too long: That ends in 365 d 5 h, and the longest window is 7 days: a door that stays closed longer is more often forgotten than meant. | --for 168h`},
		{tokyo, "2026-11-23T22:00:00+09:00", "", "2026-11-23 19:49", `time is past: 2026-11-23 19:49 +09:00 was 2 h 11 min ago. It is now 2026-11-23 22:00 +09:00.`},
		{tokyo, "2026-11-23T22:00:00+09:00", "", "2026-11-23T12:00:00Z", `time is past: 2026-11-23 21:00 +09:00 was 1 h ago. It is now 2026-11-23 22:00 +09:00.`},
		{tokyo, "2026-11-23T22:00:00+09:00", "", "2026-11-23 22:00", `time is past: That is now: the window would be empty.`},
		{tokyo, "2026-11-23T22:00:00+09:00", "", "tomorrow", `malformed time: "tomorrow" is not a time, such as 03:00, "2006-01-02 03:00" or 2006-01-02T03:00:00+09:00. | --until 03:00 | --until '2026-11-24 03:00'`},
		{tokyo, "2026-11-23T22:00:00+09:00", "", "24:00", `malformed time: "24:00" is not a time, such as 03:00, "2006-01-02 03:00" or 2006-01-02T03:00:00+09:00. | --until 00:00`},
		{tokyo, "2026-11-23T22:00:00+09:00", "", "2026-11-31 03:00", `malformed time: "2026-11-31 03:00" is not a time, such as 03:00, "2006-01-02 03:00" or 2006-01-02T03:00:00+09:00. | --until 03:00 | --until '2026-11-24 03:00'`},
		{york, "2026-03-07T22:00:00-05:00", "", "2026-03-08 02:30", `time does not exist: In America/New_York clocks go from 02:00 straight to 03:00 on 2026-03-08, so 02:30 does not exist. | --until 2026-03-08T03:00:00-04:00`},
		{york, "2026-03-07T22:00:00-05:00", "", "02:30", `time does not exist: In America/New_York clocks go from 02:00 straight to 03:00 on 2026-03-08, so 02:30 does not exist. | --until 2026-03-08T03:00:00-04:00`},
		{york, "2026-11-01T00:00:00-04:00", "", "01:30", `time exists twice: On 2026-11-01 clocks in America/New_York are put back, and show 01:30 twice: 2026-11-01T01:30:00-04:00, and again 1 h later. Say which, with its offset. | --until 2026-11-01T01:30:00-04:00 | --until 2026-11-01T01:30:00-05:00`},
		{"Australia/Lord_Howe", "2026-10-03T12:00:00Z", "", "2026-10-04 02:15", `time does not exist: In Australia/Lord_Howe clocks go from 02:00 straight to 02:30 on 2026-10-04, so 02:15 does not exist. | --until 2026-10-04T02:30:00+11:00`},
		{"Pacific/Apia", "2011-12-29T12:00:00-10:00", "", "2011-12-30 12:00", `time does not exist: In Pacific/Apia 2011-12-30 does not exist: clocks go straight to 2011-12-31 00:00. | --until 2011-12-31T00:00:00+14:00`},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		end, err := ParseWindow(now, zoneOf(t, c.zone), c.forFlag, c.until)
		if err == nil {
			t.Errorf("--for %q --until %q gave %s, want a fault", c.forFlag, c.until, end)
			continue
		}
		f := fault.Of(err)[0]
		got := strings.Join(append([]string{f.Summary + ": " + f.Detail}, f.Try...), " | ")
		if got != c.want || f.Code != fault.Invalid || !end.IsZero() {
			t.Errorf("--for %q --until %q\ngot  %s\nwant %s", c.forFlag, c.until, got, c.want)
		}
	}
}

// instant draws a time in a zone, near changes of clocks more often than chance.
func instant(t *rapid.T) (time.Time, *time.Location) {
	zone := zoneOf(t, rapid.SampledFrom([]string{"UTC", "Asia/Tokyo", "America/New_York", "Europe/London", "Australia/Lord_Howe",
		"America/St_Johns", "Africa/Casablanca", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo"}).Draw(t, "zone"))
	at := time.Unix(rapid.Int64Range(0, 2_000_000_000).Draw(t, "now"), 0).In(zone)
	if _, end := at.ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(t, "near a change") {
		at = end.Add(time.Duration(rapid.Int64Range(-100_000, 100_000).Draw(t, "from it")) * time.Second)
	}
	return at.In(zone), zone
}

func TestPropertyForIsAdded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now, zone := instant(t)
		d := time.Duration(rapid.Int64Range(1, int64(LongestWindow/time.Second)).Draw(t, "for")) * time.Second
		got, err := ParseWindow(now, zone, d.String(), "")
		if err != nil || !got.Equal(now.Add(d)) {
			t.Fatalf("got %v, %v", got, err)
		}
	})
}

func TestPropertyOffsetRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now, zone := instant(t)
		end := now.Add(time.Duration(rapid.Int64Range(1, int64(LongestWindow/time.Second)).Draw(t, "for")) * time.Second)
		if _, offset := end.Zone(); offset%60 != 0 {
			t.Skip("RFC 3339 has no seconds in an offset")
		}
		got, err := ParseWindow(now, zone, "", end.Format(time.RFC3339))
		if err != nil || !got.Equal(end) {
			t.Fatalf("%s gave %v, %v", end.Format(time.RFC3339), got, err)
		}
	})
}

// A wall time that exists is read as itself, or is ambiguous and then one of
// the two that the fault shows.
func TestPropertyWallRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now, zone := instant(t)
		end := now.Add(time.Duration(rapid.Int64Range(1, int64(LongestWindow/time.Second)).Draw(t, "for")) * time.Second)
		got, err := ParseWindow(now, zone, "", end.Format("2006-01-02 15:04:05"))
		if err != nil {
			f := fault.Of(err)[0]
			shown := strings.Contains(strings.Join(f.Try, " "), end.Format(time.RFC3339))
			tooLate := f.Summary == "window is too long" // the later of two
			if !(f.Summary == "time exists twice" && shown || tooLate) {
				t.Fatalf("%v: %v", end, err)
			}
			return
		}
		if got.Equal(end) {
			return
		}
		// Of two, the other: then ours is not after now.
		t.Fatalf("%v was read as %v", end, got)
	})
}

func TestPropertyNextClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now, zone := instant(t)
		clock := fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"))
		got, err := ParseWindow(now, zone, "", clock)
		if err != nil {
			if s := fault.Of(err)[0].Summary; s != "time does not exist" && s != "time exists twice" {
				t.Fatal(err)
			}
			return
		}
		if !got.After(now) || got.Sub(now) > 49*time.Hour || got.Format("15:04") != clock {
			t.Fatalf("%s after %v is %v", clock, now, got)
		}
	})
}

func FuzzParseWindow(f *testing.F) {
	f.Add("30m", "", int64(1_795_000_000))
	f.Add("", "03:00", int64(1_795_000_000))
	f.Add("", "2026-03-08T02:30:00-05:00", int64(1_772_900_000))
	f.Fuzz(func(t *testing.T, forFlag, until string, unix int64) {
		if unix < 0 || unix > 4_000_000_000 {
			return
		}
		now := time.Unix(unix, 0)
		got, err := ParseWindow(now, zoneOf(t, "America/New_York"), forFlag, until)
		switch {
		case err != nil && (fault.Of(err)[0].Code != fault.Invalid || fault.Of(err)[0].Detail == ""):
			t.Errorf("error without words: %v", err)
		case err == nil && !got.IsZero() && (!got.After(now) || got.Sub(now) > LongestWindow):
			t.Errorf("%v is not in the week after %v", got, now)
		}
	})
}
