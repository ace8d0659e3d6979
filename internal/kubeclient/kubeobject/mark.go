package kubeobject

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// MarkOn reads the mark on an object, whose target is given, and tells whether
// there is one. An object that is being deleted has none.
func MarkOn(o metav1.Object, target string) (driver.FoundMark, bool) {
	text, ok := o.GetAnnotations()[kubeclient.MarkAnnotation]
	if !ok || o.GetDeletionTimestamp() != nil {
		return driver.FoundMark{}, false
	}
	return driver.ReadMark(target, text), true
}

// SameReceipt tells whether a mark as it stands on a target is that of the
// receipt's step.
func SameReceipt(raw string, r action.Receipt) bool {
	left, _ := action.ParseMark(raw) // of one that was edited, what can be read
	return left.Receipt.Run == r.Run && left.Receipt.Step == r.Step
}

// TakesAway tells whether to reach a state is to take the mark's change back:
// then the mark goes, too.
func TakesAway[F any](m action.Mark, to *F) bool {
	var from F
	return !m.Receipt.From.IsZero() && json.Unmarshal(m.Receipt.From.Fields, &from) == nil && Same(&from, to)
}
