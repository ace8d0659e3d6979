package gatewayapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// openRoute opens gatewayapi/httproute.insert.
func openRoute(c *conn, p InsertParams) (driver.Typed[Inserted], error) {
	return &insertion{conn: c, p: p, on: routeList()}, nil
}

// routeList is the list of an HTTPRoute's rules.
func routeList() listed {
	return listed{resource: httpRoutes(), path: []string{"spec", "rules"}, ours: oursInRoute, settled: routeTroubles, asked: routeAsked}
}

// oursInRoute tells noren's rules by an object of noren's that they lead to,
// or by a header that only noren's rules look at.
func oursInRoute(item map[string]any, p InsertParams) bool {
	var r gw.Rule
	if convert(item, &r) != nil {
		return false
	}
	for _, f := range r.Filters {
		if f.Extension != nil && slices.Contains(p.Signs, f.Extension.Name) {
			return true
		}
	}
	for _, b := range r.Backends {
		if b.IsService() && slices.Contains(p.Signs, serviceSign(b.In(p.Namespace), b.Name)) {
			return true
		}
	}
	return slices.ContainsFunc(r.Matches, ofCurtain)
}

func serviceSign(namespace, service string) string { return "service " + namespace + "/" + service }

// ofCurtain tells whether a match looks at a header of noren's.
func ofCurtain(m gw.Match) bool { return headerOf(m, edge.PassHeader) || headerOf(m, edge.ProbeHeader) }

func headerOf(m gw.Match, header string) bool {
	return slices.ContainsFunc(m.Headers, func(h gw.NamedMatch) bool { return strings.EqualFold(h.Name, header) })
}

// standing are the parameters of the closing that stands on a route, from its
// mark; signs that noren's objects have where there is none.
func standing(u *unstructured.Unstructured, signs ...string) InsertParams {
	p := InsertParams{Namespace: u.GetNamespace(), Name: u.GetName(), Signs: signs}
	raw, ok := u.GetAnnotations()[kubeclient.MarkAnnotation]
	if !ok {
		return p
	}
	m, _ := action.ParseMark(raw) // of one that was edited, what can be read
	var left InsertParams
	if json.Unmarshal(m.Params, &left) == nil {
		p.Rules, p.Signs = left.Rules, append(p.Signs, left.Signs...)
	}
	return p
}

// A parentStatus is what one controller says of a route on one parent.
type parentStatus struct {
	Parent     gw.Parent          `json:"parentRef"`
	Controller string             `json:"controllerName"`
	Conditions []metav1.Condition `json:"conditions"`
}

// statuses are those of the parents that the route still has.
func statuses(u *unstructured.Unstructured) []parentStatus {
	var all []parentStatus
	var wanted []gw.Parent
	if decode(u, &all, "status", "parents") != nil || decode(u, &wanted, "spec", "parentRefs") != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(s parentStatus) bool {
		return !slices.ContainsFunc(wanted, func(p gw.Parent) bool { return digest(p) == digest(s.Parent) || sameParent(p, s.Parent) })
	})
}

func sameParent(a, b gw.Parent) bool {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return a.Name == b.Name && text(a.SectionName) == text(b.SectionName) &&
		(text(a.Namespace) == text(b.Namespace) || a.Namespace == nil || b.Namespace == nil)
}

// routeTroubles are what the controllers say against the route as it was last
// written, and those that have not looked at it since.
// Source: https://gateway-api.sigs.k8s.io/reference/spec/ RouteConditionType,
// RouteConditionReason.
func routeTroubles(i *insertion, u *unstructured.Unstructured) []string {
	var out []string
	for _, s := range statuses(u) {
		out = append(out, s.troubles(u.GetGeneration(), i.p.Tolerated)...)
	}
	return out
}

func (s parentStatus) troubles(generation int64, tolerated []string) []string {
	var out []string
	for _, c := range s.Conditions {
		switch good := c.Type != "PartiallyInvalid"; {
		case c.Type != "Accepted" && c.Type != "ResolvedRefs" && c.Type != "PartiallyInvalid":
		case c.ObservedGeneration < generation && c.Type != "PartiallyInvalid":
			out = append(out, fmt.Sprintf("%s has not looked at it on Gateway %s since (%s)", s.Controller, s.Parent.Name, c.Type))
		case (c.Status == metav1.ConditionTrue) == good, slices.Contains(tolerated, s.id(c)):
		default:
			out = append(out, s.sentence(c))
		}
	}
	return out
}

// id tells a condition from others, for those that were bad before.
func (s parentStatus) id(c metav1.Condition) string {
	return s.Controller + " " + c.Type + " " + c.Reason
}

// sentence is a bad condition in a person's words.
func (s parentStatus) sentence(c metav1.Condition) string {
	why := map[string]string{
		"NotAllowedByListeners":      "no listener takes routes of its namespace or kind",
		"NoMatchingListenerHostname": "no listener is for any of its hostnames",
		"NoMatchingParent":           "the Gateway has no such listener",
		"UnsupportedValue":           "it has a value that is not supported",
		"IncompatibleFilters":        "two of its filters do not go together",
		"Pending":                    "its Gateway is not ready",
		"RefNotPermitted":            "a ReferenceGrant is missing for what it leads to",
		"InvalidKind":                "it leads to a kind that is not supported",
		"BackendNotFound":            "what it leads to does not exist",
	}[c.Reason]
	if why == "" {
		why = c.Reason
	}
	text := fmt.Sprintf("on Gateway %s, %s: %s", s.Parent.Name, c.Type, why)
	if c.Message != "" {
		text += " (" + c.Message + ")"
	}
	return text
}

// badAlready are conditions that are bad before the closing.
func badAlready(u *unstructured.Unstructured) (ids, sentences []string) {
	for _, s := range statuses(u) {
		for _, c := range s.Conditions {
			bad := c.Type == "ResolvedRefs" && c.Status == metav1.ConditionFalse ||
				c.Type == "Accepted" && c.Status == metav1.ConditionFalse || c.Type == "PartiallyInvalid" && c.Status == metav1.ConditionTrue
			if bad {
				ids, sentences = append(ids, s.id(c)), append(sentences, s.sentence(c))
			}
		}
	}
	return ids, sentences
}

func routeAsked(_ *insertion, u *unstructured.Unstructured) string {
	if len(statuses(u)) == 0 {
		return "; no controller reports on it, so the probe decides"
	}
	return ""
}
