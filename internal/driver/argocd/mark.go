package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// markAnnotation holds noren's mark, an action.Mark as JSON.
const markAnnotation = "noren.dev/mark"

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
	if p.mark == nil {
		return patch, nil
	}
	if p.undoing(to) {
		p.takeMark(patch, app)
		return patch, nil
	}
	raw, err := json.Marshal(p.mark)
	if err != nil {
		return nil, fmt.Errorf("%s: mark: %w", p.what(), err)
	}
	return annotate(patch, app, markAnnotation, string(raw)), nil
}

// undoing tells whether to is the state before the marked change.
func (p *pause) undoing(to *Paused) bool {
	var before Paused
	return p.mark != nil && json.Unmarshal(p.mark.Receipt.From.Fields, &before) == nil && sameJSON(before.Automated, to.Automated)
}

// takeMark takes this step's mark away, if it is there. Another run's stays.
func (p *pause) takeMark(patch *kubeclient.Patch, app *application) (taken bool) {
	old, there := app.Metadata.Annotations[markAnnotation]
	var m action.Mark
	if !there || json.Unmarshal([]byte(old), &m) != nil || m.Receipt.Run != p.mark.Receipt.Run || m.Receipt.Step != p.mark.Receipt.Step {
		return false
	}
	path := kubeclient.Annotation(markAnnotation)
	patch.Test(path, old).Remove(path)
	return true
}

// tidy takes away a mark that stayed though the target is as it was before:
// a colleague switched automated sync on by hand.
func (p *pause) tidy(ctx context.Context, app *application, to *Paused) error {
	if !p.undoing(to) {
		return nil
	}
	patch := p.start(app)
	if !p.takeMark(patch, app) {
		return nil
	}
	_, err := p.write(ctx, app, patch)
	return again(err)
}

// findMarks lists the marks on all Applications and ApplicationSets, or on
// those of Argo CD's own namespace where more may not be read.
func findMarks(ctx context.Context, c *conn) ([]action.Mark, error) {
	var marks []action.Mark
	for _, kind := range []struct {
		resource schema.GroupVersionResource
		name     string
	}{{applications, "Applications"}, {applicationSets, "ApplicationSets"}} {
		api := c.client.Dynamic.Resource(kind.resource)
		list, err := api.List(ctx, metav1.ListOptions{})
		if apierrors.IsForbidden(err) {
			list, err = api.Namespace(c.namespace).List(ctx, metav1.ListOptions{})
		}
		if apierrors.IsNotFound(err) { // no Argo CD in this cluster
			continue
		}
		if err != nil {
			return nil, kubeclient.Classify(err, "list "+kind.name)
		}
		for _, u := range list.Items {
			for key, raw := range u.GetAnnotations() {
				var m action.Mark
				if (key == markAnnotation || strings.HasPrefix(key, markAnnotation+"-")) && json.Unmarshal([]byte(raw), &m) == nil {
					marks = append(marks, m)
				}
			}
		}
	}
	return marks, nil
}

// writer names who else wrote spec.syncPolicy.automated last, as far as the API
// server knows: " (written by argocd-server at …)".
// Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func writer(app *application) string {
	said, at := "", metav1.Time{}
	for _, m := range app.Metadata.ManagedFields {
		var fields map[string]any
		if m.Manager == kubeclient.FieldManager || m.FieldsV1 == nil || json.Unmarshal(m.FieldsV1.Raw, &fields) != nil || m.Time == nil || m.Time.Before(&at) {
			continue
		}
		spec, _ := fields["f:spec"].(map[string]any)
		policy, _ := spec["f:syncPolicy"].(map[string]any)
		if _, ok := policy["f:automated"]; ok {
			said, at = " (written by "+m.Manager+" at "+m.Time.UTC().Format("2006-01-02T15:04:05Z07:00")+")", *m.Time
		}
	}
	return said
}
