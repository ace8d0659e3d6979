package appstatus_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/appstatus"
)

// TestWhatDoesNotFitHasAPlace: of several apps and services it is said which one
// is wrong, and what could stand there.
func TestWhatDoesNotFitHasAPlace(t *testing.T) {
	t.Parallel()
	const rest = `"file":"s.json","services":{"api":{"name":{"en":"Orders"}},"shop":{"name":{"en":"Shop"}}}`
	for section, want := range map[string]string{
		`{` + rest + `,"apps":{"android":{"minimum":"3.1.0"},"ios":{"minimum":3.2}}}`:                   "apps ios minimum",
		`{` + rest + `,"apps":{"android":{"minimum":"3.1.0"},"ios":{"name":"x"}}}`:                      "apps ios name: minimum store message",
		`{` + rest + `,"apps":{"ios":{"minimum":"1","Store":"https://a.example"},"tv":"2"}}`:            "apps tv",
		`{"file":"s.json","services":{"api":{"name":{"en":"Orders"}},"shop":{"name":{"en":["Shop"]}}}}`: "services shop name en",
		`{` + rest + `,"upcoming":[{"services":["shop"]},{"services":"shop"}]}`:                         "upcoming 1 services",
		`{` + rest + `,"contxt":"x"}`: "contxt: file configmap kubeconfig context s3 cloudfront url services apps upcoming",
		`{"s3":{"bucket":"b","key":"k","acount":"1"},"services":{"shop":{"name":{"en":"Shop"}}}}`: "s3 acount: bucket key region profile role external_id account endpoint",
	} {
		err := driver.NewRegistry(appstatus.Driver()).CheckConfig("appstatus", driver.Configs{"appstatus": json.RawMessage(section)})
		var at interface {
			Path() []string
			Known() []string
		}
		if !errors.As(err, &at) {
			t.Errorf("%s: %v has no place", section, err)
			continue
		}
		got := strings.Join(at.Path(), " ")
		if len(at.Known()) > 0 {
			got += ": " + strings.Join(at.Known(), " ")
		}
		if got != want {
			t.Errorf("%s: %v is at %q, want %q", section, err, got, want)
		}
	}
}
