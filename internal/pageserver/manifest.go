package pageserver

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

//go:embed manifest.tmpl
var manifest string

// A Manifest is what the YAML of a page server depends on.
type Manifest struct {
	Namespace string
	// Name is that of all its objects, its Service among them.
	Name     string
	Image    string
	Replicas int
	// NetworkPolicy adds one that lets in requests and lets out nothing but
	// questions to the API server.
	NetworkPolicy bool
	// GKE adds a BackendConfig: the load balancer would otherwise ask the pages
	// themselves whether they are healthy, and they answer 503.
	GKE bool
}

// dnsLabel is what a namespace and a Service may be called.
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
var dnsLabel = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// YAML is the objects of a page server, ready for kubectl apply or for Git.
func (m Manifest) YAML() (string, error) {
	for what, name := range map[string]string{"namespace": m.Namespace, "name": m.Name} {
		if !dnsLabel.MatchString(name) {
			return "", &fault.Fault{Code: fault.Invalid, Summary: "malformed " + what,
				Detail: fmt.Sprintf("%q is no %s in Kubernetes: small letters, digits and hyphens, at most 63, a letter first.", name, what)}
		}
	}
	switch {
	case m.Image == "" || strings.ContainsAny(m.Image, " \t\r\n\"'{}"):
		return "", &fault.Fault{Code: fault.Invalid, Summary: "malformed image", Detail: fmt.Sprintf("%q is no image.", m.Image)}
	case m.Replicas < 1:
		return "", &fault.Fault{Code: fault.Invalid, Summary: "too few replicas", Detail: "A page server needs at least one replica; with two it survives the loss of a node."}
	}
	t, err := template.New("manifest").Parse(manifest)
	if err != nil {
		return "", fmt.Errorf("manifest: %w", err)
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{"M": m, "Port": pageapi.DefaultPort, "Healthy": pageapi.HealthyPath, "Ready": pageapi.ReadyPath})
	return out.String(), err
}
