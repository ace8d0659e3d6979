package httpcheck_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/driver/httpcheck"
	"github.com/noren-dev/noren/internal/fault"
)

func TestBadInputIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := httpcheck.ClosedParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark}
	for name, c := range map[string]struct {
		cfg    httpcheck.Config
		action string
		params any
		want   string
	}{
		"no mark":           {action: "http/closed", params: httpcheck.ClosedParams{URLs: good.URLs}, want: "mark"},
		"no URL":            {action: "http/open", params: httpcheck.OpenParams{}, want: "at least one URL"},
		"no pass":           {action: "http/staff", params: httpcheck.StaffParams{URLs: good.URLs}, want: "pass"},
		"not a URL":         {action: "http/open", params: httpcheck.OpenParams{URLs: httpcheck.URLs{"shop.example.com"}}, want: "not a complete http or https URL"},
		"password":          {action: "http/open", params: httpcheck.OpenParams{URLs: httpcheck.URLs{"https://u:hunter2@x/"}}, want: "credentials do not belong"},
		"status":            {action: "http/healthy", params: httpcheck.HealthyParams{URLs: good.URLs, Expect: 20}, want: "20 is not an HTTP status"},
		"consecutive":       {action: "http/open", params: httpcheck.OpenParams{URLs: good.URLs, Consecutive: -1}, want: "consecutive"},
		"unknown parameter": {action: "http/open", params: map[string]any{"url": "x"}, want: "unknown field"},
		"timeout":           {cfg: httpcheck.Config{Timeout: "5"}, action: "http/closed", params: good, want: "timeout"},
		"resolve from":      {cfg: httpcheck.Config{Resolve: map[string]string{"x": "192.0.2.1:1"}}, action: "http/closed", params: good, want: "not host:port"},
		"resolve to":        {cfg: httpcheck.Config{Resolve: map[string]string{"x:1": "y:1"}}, action: "http/closed", params: good, want: "not ip:port"},
		"no CA file":        {cfg: httpcheck.Config{CAFile: empty + ".not"}, action: "http/closed", params: good, want: "no such file"},
		"empty CA file":     {cfg: httpcheck.Config{CAFile: empty}, action: "http/closed", params: good, want: "no certificate in PEM form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tryOpen(t, c.cfg, c.action, c.params)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("a password is shown in %v", err)
			}
			if c.cfg.CAFile != "" && !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
				t.Errorf("got %v, want a fault of code invalid", err)
			}
		})
	}
}
