// Package kubepage keeps closed pages in ConfigMaps, for the drivers that
// route requests to a page server and for the page server itself.
//
// A driver registers the change and the check under names of its own:
//
//	driver.Changes("kube/page", "A page server has the closed page", func(c *conn, p kubepage.Params) (driver.Typed[kubepage.State], error) {
//		return kubepage.Open(c.client, c.env, p)
//	}),
//	driver.Checks("kube/page.server", "The page server answers", …kubepage.OpenCheck…),
//
// and proposes a call of the change before the one that routes requests to the
// page server, so that opening takes the page away last.
package kubepage

import (
	"fmt"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// MarkAnnotation holds noren's mark on a ConfigMap.
const MarkAnnotation = kubeclient.MarkAnnotation

const managedBy = "app.kubernetes.io/managed-by"

// CheckSize says by how much a page is too large for a ConfigMap.
func CheckSize(p pageapi.Page) error {
	files, err := p.Files()
	if err != nil {
		return err
	}
	n := pageapi.Size(files)
	if n <= pageapi.MaxSize {
		return nil
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "the closed page is too large",
		Detail: fmt.Sprintf("The page and its JSON twin have %d bytes, %d more than a ConfigMap holds (1 MiB), in which the page server finds it. Make the logo smaller, or link to images elsewhere.",
			n, n-pageapi.MaxSize),
		Try: []string{"noren page check"}}
}
