package kubeclient

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/api/validation"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// MarkAnnotation holds noren's mark on an object, as action.Mark.Text writes it.
const MarkAnnotation = "noren.dev/mark"

// MarkFits fails if an object with these annotations has no room for the mark.
// The API server bounds the keys and values of all annotations of an object
// together, and refuses what is over.
// Source: ValidateAnnotationsSize in k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
func MarkFits(what string, m action.Mark, annotations ...map[string]string) error {
	return MarkFitsAt(MarkAnnotation, what, m, annotations...)
}

// MarkFitsAt is MarkFits for a mark in an annotation of another name, where one
// object carries several.
func MarkFitsAt(key, what string, m action.Mark, annotations ...map[string]string) error {
	text, err := m.Text()
	if err != nil {
		return err
	}
	all := map[string]string{}
	for _, a := range annotations {
		maps.Copy(all, a)
	}
	delete(all, key)
	others := 0
	for k, v := range all {
		others += len(k) + len(v)
	}
	need := len(key) + len(text)
	if over := others + need - validation.TotalAnnotationSizeLimitB; over > 0 {
		return &fault.Fault{Code: fault.Invalid, Summary: "mark does not fit",
			Detail: fmt.Sprintf("noren leaves on %s what is needed to undo its change, in the annotation %s: %d bytes, compressed where that helps. The other annotations have %d, and Kubernetes takes %d in all: %d too many. Without the mark nobody could open again if noren's own records were lost, so that nothing is written.",
				what, key, need, others, validation.TotalAnnotationSizeLimitB, over)}
	}
	return nil
}
