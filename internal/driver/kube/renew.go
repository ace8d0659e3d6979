package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// Shows implements driver.TypedRenewer.
func (o *overlay) Shows(s *Overlay, marks []string) (driver.Room, bool) {
	return shows(s.Annotations, marks)
}

// Shows implements driver.TypedRenewer.
func (c *patch) Shows(s *Patched, marks []string) (driver.Room, bool) {
	return shows(s.Annotations, marks)
}

// shows looks for a page of one of the marks in noren's actions. Where they lead
// to the page server there is none.
func shows(annotations map[string]string, marks []string) (driver.Room, bool) {
	for key, text := range annotations {
		var a lbc.Action
		if strings.HasPrefix(key, lbc.ActionAnnotation(lbc.OursPrefix)) && json.Unmarshal([]byte(text), &a) == nil && bears(a, marks) {
			return driver.Room{Limit: lbc.MaxBody}, true
		}
	}
	return driver.Room{}, false
}

// bears tells whether an action answers with a page of one of the marks.
func bears(a lbc.Action, marks []string) bool {
	return a.FixedResponse != nil && a.FixedResponse.MessageBody != nil && slices.Contains(marks, markIn(*a.FixedResponse.MessageBody))
}

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
		if bears(a, marks) {
			out[key] = fresh
		}
	}
	return out, nil
}
