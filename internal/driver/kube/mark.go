package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
)

// MarkAnnotation holds noren's mark on an Ingress, as JSON.
const MarkAnnotation = "noren.dev/mark"

// ManagedBy labels the objects that noren creates.
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
const ManagedBy = "app.kubernetes.io/managed-by"

func encodeMark(m action.Mark) (string, error) {
	text, err := jsonText(m)
	if err != nil {
		return "", fmt.Errorf("mark: %w", err)
	}
	return text, nil
}

// takesAway tells whether to reach a state is to take the mark's change back:
// then the mark goes, too.
func takesAway[F any](m action.Mark, to *F) bool {
	var from F
	return !m.Receipt.From.IsZero() && json.Unmarshal(m.Receipt.From.Fields, &from) == nil && same(&from, to)
}

// createdByUs tells whether noren created an Ingress.
func createdByUs(ing *networkingv1.Ingress) bool {
	return ing.Labels[ManagedBy] == kubeclient.FieldManager
}

// findMarks lists the marks on all Ingresses, workloads and pages. One that cannot be
// read is listed with its target alone, so that a person hears of it.
func findMarks(ctx context.Context, c *conn) ([]action.Mark, error) {
	all, err := c.listIngresses(ctx)
	if err != nil {
		return nil, err
	}
	marks, err := findWorkloadMarks(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, ing := range all {
		raw, ok := ing.Annotations[MarkAnnotation]
		if !ok || ing.DeletionTimestamp != nil {
			continue
		}
		var m action.Mark
		if json.Unmarshal([]byte(raw), &m) != nil || m.Receipt.Target == "" {
			m = action.Mark{Receipt: action.Receipt{Target: c.target(ing.Namespace, "ingress", ing.Name)}}
		}
		marks = append(marks, m)
	}
	pages, err := kubepage.Marks(ctx, c.client, c.target)
	if errors.Is(err, &fault.Fault{Code: fault.Denied}) && !c.page.known() {
		return marks, nil // without a page server there are none
	}
	return append(marks, pages...), err
}
