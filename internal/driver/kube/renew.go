package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// Renew implements driver.TypedRenewer.
func (o *overlay) Renew(s *Overlay, page edge.Response, marks []string) (*Overlay, error) {
	out := *s
	var err error
	out.Annotations, err = renewed(s.Annotations, page, marks)
	return &out, err
}

// Renew implements driver.TypedRenewer.
func (c *patch) Renew(s *Patched, page edge.Response, marks []string) (*Patched, error) {
	out := *s
	var err error
	out.Annotations, err = renewed(s.Annotations, page, marks)
	return &out, err
}

// renewed are the annotations with the page in those of noren's actions that
// answer with a page of one of the marks. A fixed response that was copied from
// the Ingress bears none.
func renewed(annotations map[string]string, page edge.Response, marks []string) (map[string]string, error) {
	if err := checkPage(page); err != nil {
		return nil, err
	}
	fresh, err := kubeobject.JSON(pageAction(page))
	if err != nil {
		return nil, err
	}
	out := maps.Clone(annotations)
	for key, text := range annotations {
		if !strings.HasPrefix(key, lbc.ActionAnnotation(lbc.OursPrefix)) {
			continue
		}
		var a lbc.Action
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", key, err)
		}
		if a.FixedResponse != nil && a.FixedResponse.MessageBody != nil && slices.Contains(marks, markIn(*a.FixedResponse.MessageBody)) {
			out[key] = fresh
		}
	}
	return out, nil
}
