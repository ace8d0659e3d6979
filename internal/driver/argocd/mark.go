package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

const markAnnotation = kubeclient.MarkAnnotation

const (
	policyPath    = "/spec/syncPolicy"
	automatedPath = policyPath + "/automated"
)

// patch writes to over from, and leaves or takes the mark.
func (p *pause) patch(app *application, from, to *Paused) (*kubeclient.Patch, error) {
	patch := p.start(app)
	switch {
	case app.Spec.SyncPolicy == nil: // a test below an absent parent would fail
		patch.Test(policyPath, nil).Add(policyPath, map[string]any{"automated": to.Automated})
	case len(from.Automated) == 0:
		patch.Test(automatedPath, nil).Add(automatedPath, to.Automated)
	case len(to.Automated) == 0:
		patch.Test(automatedPath, from.Automated).Remove(automatedPath)
	default:
		patch.Test(automatedPath, from.Automated).Add(automatedPath, to.Automated)
	}
	if err := p.marking().Write(patch, app.Metadata.Annotations, to); err != nil {
		return nil, fmt.Errorf("%s: %w", p.what(), err)
	}
	return patch, nil
}

func (p *pause) marking() kubeobject.Marking {
	return kubeobject.Marking{Key: markAnnotation, Mark: p.mark}
}

// tidy takes away a mark that stayed though the target is as it was before:
// a colleague switched automated sync on by hand.
func (p *pause) tidy(ctx context.Context, app *application, to *Paused) error {
	patch := p.start(app)
	if !p.marking().Undoes(to) || !p.marking().Take(patch, app.Metadata.Annotations) {
		return nil
	}
	_, err := p.write(ctx, app, patch)
	return again(ctx, err)
}

// Fits tells whether the Application could carry the mark beside its own
// annotations.
func (p *pause) Fits(ctx context.Context, m action.Mark) error {
	app, err := p.get(ctx)
	if err != nil || app == nil {
		return err
	}
	return kubeclient.MarkFits(p.what(), m, app.Metadata.Annotations)
}

// writer names who else wrote spec.syncPolicy.automated last, as far as the API
// server knows: " (written by argocd-server at …)".
func writer(app *application) string {
	manager, at := writerOf(app.Metadata.ManagedFields, func(m string) bool { return m != kubeclient.FieldManager })
	if manager == "" {
		return ""
	}
	return " (written by " + manager + " at " + at.UTC().Format("2006-01-02T15:04:05Z07:00") + ")"
}

// writerOf is who of the field managers that count wrote
// spec.syncPolicy.automated last, and when.
// Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func writerOf(entries []metav1.ManagedFieldsEntry, counts func(manager string) bool) (manager string, at time.Time) {
	for _, m := range entries {
		var fields map[string]any
		if !counts(m.Manager) || m.FieldsV1 == nil || json.Unmarshal(m.FieldsV1.Raw, &fields) != nil || m.Time == nil || m.Time.Time.Before(at) {
			continue
		}
		spec, _ := fields["f:spec"].(map[string]any)
		policy, _ := spec["f:syncPolicy"].(map[string]any)
		if _, ok := policy["f:automated"]; ok {
			manager, at = m.Manager, m.Time.Time
		}
	}
	return manager, at
}
