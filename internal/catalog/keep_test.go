package catalog

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	full, err := Load("testdata/full.yaml", known())
	if err != nil {
		t.Fatal(err)
	}
	want := Keep{Remind: []time.Duration{30 * time.Minute, 5 * time.Minute}, Overdue: 15 * time.Minute,
		Command: []string{"testdata/tell.sh", "--channel", "ops"}, Timeout: 5 * time.Second}
	if d := cmp.Diff(want, full.Keep); d != "" {
		t.Errorf("keep (-want +got):\n%s", d)
	}
	for text, want := range map[string]Keep{
		"":                                      DefaultKeep(),
		"keep: {remind: []}":                    {Remind: nil, Overdue: 10 * time.Minute, Timeout: 10 * time.Second},
		"keep: {remind: [5m, 1h, 5m, 90s]}":     {Remind: []time.Duration{time.Hour, 5 * time.Minute, 90 * time.Second}, Overdue: 10 * time.Minute, Timeout: 10 * time.Second},
		"keep: {command: [tell, ./not-a-path]}": {Remind: DefaultKeep().Remind, Command: []string{"tell", "./not-a-path"}, Overdue: 10 * time.Minute, Timeout: 10 * time.Second},
	} {
		c, err := Parse("noren.yaml", []byte("version: 1\nzone: UTC\nenvironments: {prod: {}}\n"+text+"\n"), known())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, c.Keep); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}
