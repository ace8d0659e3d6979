// Package all lists the drivers of noren, written out: a driver that is not
// here does not exist, and one that does not fit does not compile.
package all

import (
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/alertmanager"
	"github.com/noren-dev/noren/internal/driver/appstatus"
	"github.com/noren-dev/noren/internal/driver/argocd"
	"github.com/noren-dev/noren/internal/driver/aws"
	"github.com/noren-dev/noren/internal/driver/cachet"
	"github.com/noren-dev/noren/internal/driver/datadog"
	"github.com/noren-dev/noren/internal/driver/flux"
	"github.com/noren-dev/noren/internal/driver/gate"
	"github.com/noren-dev/noren/internal/driver/gatewayapi"
	"github.com/noren-dev/noren/internal/driver/httpcheck"
	"github.com/noren-dev/noren/internal/driver/kube"
	"github.com/noren-dev/noren/internal/driver/mackerel"
	"github.com/noren-dev/noren/internal/driver/newrelic"
	"github.com/noren-dev/noren/internal/driver/pagerduty"
	"github.com/noren-dev/noren/internal/driver/slack"
	"github.com/noren-dev/noren/internal/driver/smtp"
	"github.com/noren-dev/noren/internal/driver/statuspage"
	"github.com/noren-dev/noren/internal/driver/webhook"
)

// Registry returns every driver.
func Registry() *driver.Registry {
	return driver.NewRegistry(
		gate.Driver(),
		kube.Driver(),
		gatewayapi.Driver(),
		aws.Driver(),
		argocd.Driver(),
		flux.Driver(),
		httpcheck.Driver(),
		appstatus.Driver(),
		alertmanager.Driver(),
		datadog.Driver(),
		newrelic.Driver(),
		mackerel.Driver(),
		pagerduty.Driver(),
		slack.Driver(),
		webhook.Driver(),
		smtp.Driver(),
		statuspage.Driver(),
		cachet.Driver(),
	)
}
