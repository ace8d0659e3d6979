package gatewayapi

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// The parts of a curtain, in the order of package edge's Curtain.
const (
	partAnswer = "closed"     // the object that answers
	partPage   = "route-page" // the page of a page server; an Ingress of the same name has "page"

	labelProbe   = "noren: probe"
	labelPass    = "noren: staff by pass"
	labelAddress = "noren: staff by address"
	labelOpen    = "noren: kept open"
	labelClosed  = "noren: closed"
)

// objects are the objects of implementations that rules name, by
// "Kind namespace/name": nil where there is none.
type objects map[string]map[string]any

func objectKey(kind, namespace, object string) string { return kind + " " + namespace + "/" + object }

// readObjects reads those that the rules of routes name.
func (c *conn) readObjects(ctx context.Context, routes []gw.Route) (objects, error) {
	type named struct {
		of              *implementation
		namespace, name string
	}
	wanted := map[string]named{}
	for _, r := range routes {
		for _, rule := range r.Rules {
			for _, m := range []*implementation{awsLoadBalancer(), envoyGateway()} {
				for _, object := range m.names(rule) {
					wanted[objectKey(m.kind, r.Namespace, object)] = named{m, r.Namespace, object}
				}
			}
		}
	}
	var list []named
	for _, n := range wanted {
		list = append(list, n)
	}
	out := objects{}
	var mu sync.Mutex
	err := kubeclient.Each(ctx, list, func(ctx context.Context, n named) error {
		if v, err := c.version(ctx, n.of.resource); err != nil || v == "" {
			return err
		}
		u, err := c.get(ctx, n.of.resource, n.namespace, n.name)
		if err != nil || u == nil {
			return err
		}
		spec, _, _ := unstructured.NestedMap(u.Object, "spec")
		mu.Lock()
		defer mu.Unlock()
		out[objectKey(n.of.kind, n.namespace, n.name)] = spec
		return nil
	})
	return out, err
}

// reader reads rules for package gw. rules are those of the route itself, as
// they are stored or would be; noren's own among them are told by the
// parameters of their closing. page is what they answer where they lead to a
// page server, nil where that is not known.
func (r *reading) reader(p InsertParams, rules []map[string]any, page *edge.Response) func(gw.Route, int, int) gw.Reading {
	i := &insertion{p: p, on: routeList()}
	return func(of gw.Route, rule, match int) gw.Reading {
		read := of.Rules[rule]
		out := r.objects.reading(of, read)
		if of.Key() != r.route.Key() || !i.isOurs(rules[rule]) {
			return out
		}
		server := slices.ContainsFunc(read.Backends, func(b gw.Backend) bool {
			return slices.Contains(p.Signs, serviceSign(b.In(of.Namespace), b.Name))
		})
		if server && page != nil {
			out.Response = page
		}
		m := read.Takes()[match]
		switch {
		case headerOf(m, edge.ProbeHeader):
			out.Name = labelProbe
		case headerOf(m, edge.PassHeader):
			out.Name = labelPass
		case out.Response != nil || server:
			out.Name = labelClosed
		case len(out.Conditions) > 0:
			out.Name = labelAddress
		default:
			out.Name = labelOpen
		}
		return out
	}
}

// reading is what the objects that a rule names make of it.
func (o objects) reading(of gw.Route, rule gw.Rule) gw.Reading {
	var out gw.Reading
	for _, m := range []*implementation{awsLoadBalancer(), envoyGateway()} {
		for _, object := range m.names(rule) {
			spec := o[objectKey(m.kind, of.Namespace, object)]
			if answer := m.response(spec); answer != nil {
				out.Response = answer
			}
			if cidrs := sourcesIn(spec); m.sources && len(cidrs) > 0 {
				out.Conditions = append(out.Conditions, edge.Condition{Field: edge.Source, Values: cidrs})
			}
		}
	}
	return out
}
