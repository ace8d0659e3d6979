package gatewayapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
)

// UnchangedParams are the object that a plan was made from.
type UnchangedParams struct {
	// Kind is HTTPRoute or VirtualService.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Digest    string `json:"digest"`
}

// Validate says what is missing.
func (p UnchangedParams) Validate() error {
	if p.Namespace == "" || p.Name == "" {
		return errors.New("namespace and name are needed")
	}
	if _, ok := listOf(p.Kind); !ok {
		return fmt.Errorf("kind %q is none of HTTPRoute, VirtualService", p.Kind)
	}
	return nil
}

// listOf is the kind of object that a closing is about.
func listOf(kind string) (listed, bool) {
	for _, l := range []listed{routeList(), virtualServiceList()} {
		if l.kind == kind {
			return l, true
		}
	}
	return listed{}, false
}

// unchangedParams are of an object as a plan's reader saw it; rules are the
// user's.
func unchangedParams(r resource, u *unstructured.Unstructured, rules []map[string]any) UnchangedParams {
	return UnchangedParams{Kind: r.kind, Namespace: u.GetNamespace(), Name: u.GetName(), UID: string(u.GetUID()), Digest: specDigest(u, rules)}
}

// specDigest is of what decides about the rules: the spec, with the user's
// rules only.
func specDigest(u *unstructured.Unstructured, rules []map[string]any) string {
	spec, _, _ := unstructured.NestedMap(u.Object, "spec")
	for _, key := range []string{"rules", "http"} {
		if _, ok := spec[key]; ok {
			spec[key] = rules
		}
	}
	return digest(spec)
}

type unchanged struct {
	conn *conn
	p    UnchangedParams
	on   listed
}

func openUnchanged(c *conn, p UnchangedParams) (*unchanged, error) {
	on, _ := listOf(p.Kind) // Validate has seen to it
	return &unchanged{c, p, on}, nil
}

// Target names the object.
func (u *unchanged) Target() string { return u.conn.target(u.p.Namespace, u.on.word, u.p.Name) }

// Requires lists the permission to read the object.
func (u *unchanged) Requires() []action.Permission {
	return []action.Permission{{System: name, Verb: "get", Resource: u.on.String(), Namespace: u.p.Namespace, Why: "see that it is as it was planned for"}}
}

// Check compares what decides about the rules, not who wrote it or when.
func (u *unchanged) Check(ctx context.Context) (action.Verdict, error) {
	what := fmt.Sprintf("%s %s/%s", u.on.word, u.p.Namespace, u.p.Name)
	now, err := u.conn.get(ctx, u.on.resource, u.p.Namespace, u.p.Name)
	if err != nil {
		return action.Verdict{}, err
	}
	v := action.Verdict{Summary: what + " has changed since the plan was made", Try: []string{"noren plan close"}}
	if now == nil || now.GetDeletionTimestamp() != nil {
		v.Findings = []string{"it was deleted"}
		return v, nil
	}
	rules, err := items(now, u.on.path...)
	if err != nil {
		return action.Verdict{}, err
	}
	i := &insertion{p: standing(now), on: u.on}
	user := make([]map[string]any, 0, len(rules))
	for _, r := range rules {
		if !i.isOurs(r) {
			user = append(user, r)
		}
	}
	switch {
	case string(now.GetUID()) != u.p.UID:
		v.Findings = []string{"it was deleted and created again"}
	case specDigest(now, user) != u.p.Digest:
		v.Findings = []string{"its rules, hosts or Gateways are others"}
	default:
		return action.Verdict{OK: true, Summary: what + " is as it was when the plan was made"}, nil
	}
	return v, nil
}

// BackendParams are the Services behind an entrance.
type BackendParams struct {
	Namespace string   `json:"namespace"`
	Services  []string `json:"services"`
}

// Validate says what is missing.
func (p BackendParams) Validate() error {
	if p.Namespace == "" || len(p.Services) == 0 {
		return errors.New("namespace and services are needed")
	}
	return nil
}

type backends struct {
	conn *conn
	p    BackendParams
}

func openBackends(c *conn, p BackendParams) (*backends, error) { return &backends{c, p}, nil }

// Target names the Services.
func (b *backends) Target() string {
	return b.conn.target(b.p.Namespace, "service", strings.Join(b.p.Services, "+"))
}

// Requires lists the permission to see whether they would answer.
func (b *backends) Requires() []action.Permission {
	return []action.Permission{backendPermission(b.p.Namespace)}
}

func backendPermission(namespace string) action.Permission {
	return action.Permission{System: name, Verb: "list", Resource: "endpointslices.discovery.k8s.io", Namespace: namespace, Why: "see whether the application would answer"}
}

// Check counts ready endpoints.
func (b *backends) Check(ctx context.Context) (action.Verdict, error) {
	return b.conn.client.Ready(ctx, b.p.Namespace, b.p.Services)
}

// serverPermissions are what closing by a page server needs.
func serverPermissions(c *conn, s pageServer) []action.Permission {
	check, _ := kubepage.OpenServerCheck(c.client, name, c.env, kubepage.ServerParams{Namespace: s.Namespace, Service: s.Name, Port: s.Port})
	need := check.Requires()
	page, _ := kubepage.Open(c.client, name, c.env, kubepage.Params{Namespace: s.Namespace})
	if r, ok := page.(action.Requirer); ok {
		need = append(need, r.Requires()...)
	}
	return need
}

// granted tells whether HTTPRoutes of a namespace may lead to the page server.
// Where the grants may not be read, the controller's word on the route decides.
// Source: https://gateway-api.sigs.k8s.io/api-types/referencegrant/
func (c *conn) granted(ctx context.Context, route string, s pageServer) (bool, error) {
	if s.Namespace == route {
		return true, nil
	}
	grants, err := c.list(ctx, referenceGrants(), s.Namespace)
	var f *fault.Fault
	if apierrors.IsForbidden(err) || errors.As(err, &f) && f.Code == fault.Denied {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for _, u := range grants {
		var spec struct {
			From []struct{ Group, Kind, Namespace string }
			To   []struct {
				Group, Kind string
				Name        *string
			}
		}
		if decode(u, &spec, "spec") != nil {
			continue
		}
		from, to := false, false
		for _, f := range spec.From {
			from = from || f.Group == httpRoutes().group && f.Kind == "HTTPRoute" && f.Namespace == route
		}
		for _, t := range spec.To {
			to = to || t.Group == "" && t.Kind == "Service" && (t.Name == nil || *t.Name == "" || *t.Name == s.Name)
		}
		if from && to {
			return true, nil
		}
	}
	return false, nil
}

// grantMissing prints the grant that is missing.
func grantMissing(route string, s pageServer) error {
	yaml := fmt.Sprintf(`kubectl apply -f - <<EOF
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: noren-page-from-%s, namespace: %s}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: %s}]
  to: [{group: "", kind: Service, name: %s}]
EOF`, route, s.Namespace, route, s.Name)
	return &fault.Fault{Code: fault.Invalid, Summary: "routes may not lead to the page server",
		Detail: fmt.Sprintf("The page server (service %s) is in another namespace than the route, and no ReferenceGrant there lets HTTPRoutes of namespace %s lead to it: the controller would answer 500.", s, route),
		Try:    []string{yaml, "page_namespace: " + route + "   # a page server beside the route needs no grant"}}
}
