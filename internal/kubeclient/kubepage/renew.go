package kubepage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// Shows implements driver.TypedRenewer: the page server sends pages of any size.
func (c *change) Shows(s *State, marks []string) (driver.Room, bool) {
	p, _ := c.pageOf(s)
	return driver.Room{}, p != nil && slices.Contains(marks, p.Response.Mark)
}

// Renew implements driver.TypedRenewer: another page for the same requests.
func (c *change) Renew(s *State, page edge.Response, marks []string) (*State, error) {
	if _, ok := c.Shows(s, marks); !ok {
		return s, nil
	}
	p, err := c.renewed(s, page)
	if err != nil {
		return nil, err
	}
	return &State{Label: s.Label, Digest: p.Digest}, nil
}

// Params implements driver.TypedReparameter: the state is a digest, so both
// pages are in the parameters, the new one and the one to go back to.
func (c *change) Params(s *State, page edge.Response) (any, error) { return c.renewed(s, page) }

func (c *change) renewed(s *State, page edge.Response) (Params, error) {
	former, _ := c.pageOf(s)
	if former == nil {
		return Params{}, fmt.Errorf("%s: the page itself is not known here; it cannot be renewed", c.name())
	}
	fresh := *former
	fresh.Response = page
	p, err := NewParams(c.p.Namespace, c.p.Name, fresh)
	p.Former = former
	return p, err
}

// replace gives the object the files of another page. The server refuses unless
// it is exactly the object that was read: whatever else was written meanwhile,
// the next try reads it.
func (c *change) replace(ctx context.Context, cm *corev1.ConfigMap, to *State) error {
	files, err := c.filesFor(to)
	if err != nil {
		return err
	}
	p := (&kubeclient.Patch{}).Test("/metadata/uid", cm.UID).Test("/metadata/resourceVersion", cm.ResourceVersion).Add("/data", files)
	if len(cm.BinaryData) > 0 {
		p.Remove("/binaryData")
	}
	marking := kubeobject.Marking{Key: MarkAnnotation}
	if c.mark != nil {
		mark, err := withoutPage(*c.mark)
		if err != nil {
			return err
		}
		marking.Mark = &mark
	}
	if err := marking.Write(p, cm.Annotations, to); err != nil {
		return err
	}
	body, err := p.JSON()
	if err != nil {
		return err
	}
	_, err = c.client.Typed.CoreV1().ConfigMaps(c.p.Namespace).Patch(ctx, c.p.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: kubeclient.FieldManager})
	err = kubeclient.Classify(err, "patch "+c.name())
	if errors.Is(err, kubeclient.ErrTestFailed) {
		return fmt.Errorf("%w: %w", action.ErrUnavailable, err)
	}
	return err
}

var _ interface {
	driver.TypedRenewer[State]
	driver.TypedReparameter[State]
} = (*change)(nil)
