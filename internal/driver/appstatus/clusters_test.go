package appstatus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/appstatus"
	"github.com/noren-dev/noren/internal/fault"
)

// TestOneDocumentForSeveralClusters: a file is the environment's, and told once;
// of a ConfigMap it must be said in which cluster it is.
func TestOneDocumentForSeveralClusters(t *testing.T) {
	t.Parallel()
	clusters := map[string]driver.Configs{"osaka": {"kube": json.RawMessage(`{}`)}, "tokyo": {"kube": json.RawMessage(`{}`)}}
	open := func(where string) *driver.Session {
		section := json.RawMessage(fmt.Sprintf(`{%s,"services":{"shop":{"name":{"en":"Shop"}}}}`, where))
		return driver.NewRegistry(appstatus.Driver()).OpenClusters(driver.Env{Name: "prod", Now: time.Now}, driver.Configs{"appstatus": section}, clusters)
	}
	shop := driver.Announcement{Service: "shop", Since: time.Now(), Words: map[string]driver.Words{"en": {Title: "Closed"}}, Lang: "en"}
	s := open(fmt.Sprintf(`"file":%q`, filepath.Join(t.TempDir(), "status.json")))
	tellings, err := s.Tell(t.Context(), shop)
	if err != nil || len(tellings) != 1 || len(tellings[0].Calls) != 1 {
		t.Errorf("a file: %+v, %v; want one telling", tellings, err)
	}
	if found, err := s.Traces(t.Context()); err != nil || len(found.Seen) != 1 {
		t.Errorf("looked at %+v, %v; want one document", found, err)
	}
	tellings, err = open(`"s3":{"bucket":"example-status","key":"app-status.json","region":"us-east-1"}`).Tell(t.Context(), shop)
	if err != nil || len(tellings) != 1 || len(tellings[0].Calls) != 1 {
		t.Errorf("an object of S3: %+v, %v; want one telling", tellings, err)
	}
	if _, err := open(`"configmap":"shop/noren-app-status"`).Tell(t.Context(), shop); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("a ConfigMap somewhere: %v, want that it is not said where", err)
	}
}
