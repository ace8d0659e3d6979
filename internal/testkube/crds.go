package testkube

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
)

// CRD sets for [Server.InstallCRDs]. Their versions are pinned in
// test/kubeserver/crds.txt and crdtypes.txt; a set can also be named by its version, such as
// "argocd-v3.0.23".
const (
	// ArgoCDCurrent is a recent Argo CD.
	ArgoCDCurrent = "argocd-current"
	// ArgoCDOld is an Argo CD whose Application lacks
	// spec.syncPolicy.automated.enabled, so that the server drops the field.
	ArgoCDOld = "argocd-old"
	// GatewayAPI is the standard channel of Gateway API.
	GatewayAPI = "gateway-api-current"
	// EnvoyGateway is the HTTPRouteFilter of Envoy Gateway.
	EnvoyGateway = "envoy-gateway-current"
	// Istio is every kind of Istio's.
	Istio = "istio-current"
	// AWSGateway is a stand-in, written for tests, for the AWS Load Balancer
	// Controller's ListenerRuleConfiguration.
	AWSGateway = "aws-gateway-standin"
	// FluxKustomize has Flux's Kustomization, FluxHelm its HelmRelease.
	FluxKustomize = "kustomize-controller-current"
	FluxHelm      = "helm-controller-current"
)

//go:embed standins/gateway.k8s.aws.yaml
var awsGateway string

const (
	crdPollInterval = 20 * time.Millisecond
	crdTimeout      = 2 * time.Minute
)

// InstallCRDs installs a set of CRDs and waits until their resources are
// served and found by discovery. Installing a set again does nothing. A server
// holds one version of a CRD, so a test that needs another one than the tests
// beside it starts a [Dedicated] server. only limits a large set to the CRDs of
// these names, such as "virtualservices.networking.istio.io".
func (s *Server) InstallCRDs(t testing.TB, set string, only ...string) {
	t.Helper()
	s.crdsMu.Lock()
	defer s.crdsMu.Unlock()
	if err := s.installCRDs(t.Context(), set, only); err != nil {
		t.Fatalf("testkube: install the CRDs of %s: %v", set, err)
	}
}

func (s *Server) installCRDs(ctx context.Context, set string, only []string) error {
	dir, crds, err := s.readCRDs(set)
	if err != nil {
		return err
	}
	if len(only) > 0 {
		crds = slices.DeleteFunc(crds, func(crd *unstructured.Unstructured) bool { return !slices.Contains(only, crd.GetName()) })
		if len(crds) != len(only) {
			return fmt.Errorf("the set has only %d of %q", len(crds), only)
		}
	}
	for _, crd := range crds {
		if err := s.createCRD(ctx, crd, dir); err != nil {
			return fmt.Errorf("%s: %w", crd.GetName(), err)
		}
	}
	for _, crd := range crds {
		if err := s.waitServed(ctx, crd); err != nil {
			return fmt.Errorf("wait until %s is served: %w", crd.GetName(), err)
		}
	}
	return nil
}

// readCRDs returns the real folder of a set, links followed, and its CRDs.
func (s *Server) readCRDs(set string) (string, []*unstructured.Unstructured, error) {
	if set == AWSGateway {
		crds, err := decode(strings.NewReader(awsGateway))
		return set, crds, err
	}
	root := filepath.Join(s.tools, "crds")
	dir, err := filepath.EvalSymlinks(filepath.Join(root, set))
	if err != nil {
		return "", nil, fmt.Errorf("no such set: use one of the folders of %s, or add it to test/kubeserver/crds.txt (%w)", root, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return "", nil, err
	}
	var crds []*unstructured.Unstructured
	for _, file := range files {
		objects, err := decodeFile(file)
		if err != nil {
			return "", nil, err
		}
		crds = append(crds, objects...)
	}
	return dir, crds, nil
}

func decodeFile(path string) ([]*unstructured.Unstructured, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	objects, err := decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return objects, nil
}

// createCRD creates a CRD from the folder dir, unless it came from there
// already.
func (s *Server) createCRD(ctx context.Context, crd *unstructured.Unstructured, dir string) error {
	switch s.crds[crd.GetName()] {
	case dir:
		return nil
	case "":
	default:
		return fmt.Errorf("already installed from %s: start a server with Dedicated() for another version", s.crds[crd.GetName()])
	}
	client, err := s.clientFor(crd)
	if err != nil {
		return err
	}
	if _, err := client.Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		return err
	}
	s.crds[crd.GetName()] = dir
	return nil
}

// waitServed waits until every served version of a CRD can be found by
// discovery and listed.
func (s *Server) waitServed(ctx context.Context, crd *unstructured.Unstructured) error {
	kinds, err := servedKinds(crd)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		var last error
		served := func(ctx context.Context) (bool, error) {
			last = s.checkServed(ctx, kind)
			return last == nil, nil
		}
		if err := wait.PollUntilContextTimeout(ctx, crdPollInterval, crdTimeout, true, served); err != nil {
			return errors.Join(err, last)
		}
	}
	return nil
}

// checkServed returns nil if a kind can be found by discovery and listed.
func (s *Server) checkServed(ctx context.Context, kind schema.GroupVersionKind) error {
	mapping, err := s.mapping(kind)
	if err != nil {
		return err
	}
	_, err = s.client.Resource(mapping.Resource).List(ctx, metav1.ListOptions{Limit: 1})
	return err
}

// servedKinds returns the kind that a CRD defines in each version it serves.
func servedKinds(crd *unstructured.Unstructured) ([]schema.GroupVersionKind, error) {
	group, _, groupErr := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, kindErr := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	versions, _, versionsErr := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err := errors.Join(groupErr, kindErr, versionsErr); err != nil {
		return nil, err
	}
	var kinds []schema.GroupVersionKind
	for _, version := range versions {
		fields, _ := version.(map[string]any)
		name, _ := fields["name"].(string)
		if served, _ := fields["served"].(bool); served {
			kinds = append(kinds, schema.GroupVersionKind{Group: group, Version: name, Kind: kind})
		}
	}
	return kinds, nil
}
