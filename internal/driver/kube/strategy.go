package kube

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// strategy chooses how to close, and returns the proposal with its calls and
// the members of the group as they would be.
func (e *entrance) strategy(r *reading, cur curtain) (*driver.Proposal, []*networkingv1.Ingress, error) {
	asked := e.options.Strategy
	switch {
	case asked == StrategyPatch:
		return e.patchProposal(r, cur, "The catalog asks for it.")
	case asked == StrategyOverlay && !r.group.Explicit():
		return nil, nil, &fault.Fault{Code: fault.Invalid, Summary: "overlay needs an explicit group",
			Detail: fmt.Sprintf("Ingress %s has a load balancer of its own (no %s), so no other Ingress can be put in front of it. Strategy patch can close it. Giving it a group name would move it to another load balancer: do that at a calm time.", e.key(), lbc.GroupName),
			Try:    []string{"strategy: patch"}}
	case asked == StrategyOverlay:
		return e.overlayProposal(r, cur, "The catalog asks for it.")
	case r.group.Explicit():
		return e.overlayProposal(r, cur, fmt.Sprintf("Ingress %s is in the explicit group %q: an Ingress in front of the group closes it, and nothing of yours is edited.", e.key(), r.group.Name))
	default:
		return e.patchProposal(r, cur, fmt.Sprintf("Ingress %s has a load balancer of its own (no explicit group): only rules in the Ingress itself can close it.", e.key()))
	}
}

// overlayProposal puts up to three Ingresses in front: the probe's page, what
// goes through to the application, the closed page. They are separate since
// the annotations for logins and target groups that the second needs must not
// be on the pages. One Ingress does where nothing goes through.
func (e *entrance) overlayProposal(r *reading, cur curtain, why string) (*driver.Proposal, []*networkingv1.Ingress, error) {
	type part struct {
		name    string
		pieces  []piece
		through bool
	}
	parts := []part{{overlayClosed, append(slices.Clone(cur.probe), cur.closed...), false}}
	if len(cur.through) > 0 {
		parts = []part{{overlayProbe, cur.probe, false}, {overlayThrough, cur.through, true}, {overlayClosed, cur.closed, false}}
	}
	first, err := e.firstOrder(r, len(parts), cur.ownPaths)
	if err != nil {
		return nil, nil, err
	}
	p := &driver.Proposal{Strategy: StrategyOverlay, Why: why}
	after := othersThan(r.members, e.name, e.namespace)
	for i, part := range parts {
		o, err := e.overlayOf(r, part.name, first+i, part.pieces, part.through)
		if err != nil {
			return nil, nil, err
		}
		// The closed page goes up first and the probe's last: the controller
		// takes Ingresses in as they were written, so that where a probe sees
		// the page, customers see it too.
		p.Calls = slices.Insert(p.Calls, 0, driver.Call{Action: ActionOverlay, Params: o})
		after = append(after, o.ingress())
	}
	if cert := certificateNote(r, first); cert != "" {
		p.Notes = append(p.Notes, driver.Note{Warn: true, Text: cert})
	}
	if r.classesDiffer() {
		p.Notes = append(p.Notes, driver.Note{Warn: true, Text: fmt.Sprintf("The first Ingress of %s has another class than %s. The controller takes attributes of the load balancer from the class of the first, which noren's page will be: compare the IngressClassParams of both.", r.group, e.key())})
	}
	return p, after, nil
}

// The parts of an overlay, which end the names of its Ingresses.
const (
	overlayProbe   = "probe"
	overlayThrough = "through"
	overlayClosed  = "closed"
	// overlayPage ends the name of the ConfigMap beside them.
	overlayPage = "page"
)

// othersThan leaves out overlays of an earlier closing of the same Ingress:
// the new ones have their names.
func othersThan(members []*networkingv1.Ingress, ingress, namespace string) []*networkingv1.Ingress {
	own := []string{kubeobject.Name(ingress, overlayProbe), kubeobject.Name(ingress, overlayThrough), kubeobject.Name(ingress, overlayClosed)}
	return slices.DeleteFunc(slices.Clone(members), func(m *networkingv1.Ingress) bool {
		return createdByUs(m) && m.Namespace == namespace && slices.Contains(own, m.Name)
	})
}

// membersHere are the members of the group in the Ingress's own namespace. The
// controller reports the same on every member, so reading its events here is
// enough. Source: controllers/ingress/group_controller.go
// recordIngressGroupEvent.
func (r *reading) membersHere() []string {
	var out []string
	for _, m := range r.members {
		if m.Namespace == r.ing.Namespace {
			out = append(out, lbc.Key(m))
		}
	}
	return out
}

// firstOrder is the group.order of the first of n overlays. It is below the
// lowest member that is not noren's, so that nothing comes before the page;
// where others serve the same hosts, it is below the Ingress's own, so that
// those of their rules that come before it today still do.
func (e *entrance) firstOrder(r *reading, n int, shared bool) (int, error) {
	lowest, whose := lbc.MaxOrder, ""
	for _, m := range r.members {
		if createdByUs(m) || shared && lbc.Key(m) != e.key() {
			continue
		}
		if order, err := lbc.Order(m); err == nil && (whose == "" || order < lowest) {
			lowest, whose = order, lbc.Key(m)
		}
	}
	if lowest-n < lbc.MinOrder {
		return 0, &fault.Fault{Code: fault.Invalid, Summary: "no room in front of the group",
			Detail: fmt.Sprintf("Closing ingress %s by overlay needs %d places in front of %s, but ingress %s has group.order %d and the lowest is %d. Raise that order, or close with strategy patch.",
				e.key(), n, r.group, whose, lowest, lbc.MinOrder),
			Try: []string{"strategy: patch"}}
	}
	return lowest - n, nil
}

func (e *entrance) overlayOf(r *reading, part string, order int, pieces []piece, through bool) (OverlayParams, error) {
	annotations, rules, err := render(pieces)
	if err != nil {
		return OverlayParams{}, err
	}
	ports, err := r.opts.Classes.Ports(r.ing)
	if err != nil {
		return OverlayParams{}, unclear(r.ing, err)
	}
	annotations[lbc.GroupOrder] = strconv.Itoa(order)
	annotations[lbc.ListenPorts] = listenPorts(ports)
	copied := []string{lbc.GroupName, lbc.ClassAnnotation, lbc.Prefix + "tags"}
	if through {
		copied = append(copied, throughAnnotations(r.ing)...)
	}
	if slices.ContainsFunc(pieces, func(p piece) bool { return p.regex }) {
		copied = append(copied, lbc.RegexPaths)
	}
	for _, key := range copied {
		if v, ok := r.ing.Annotations[key]; ok {
			annotations[key] = v
		}
	}
	arns, tls := certificates(r, ports)
	if len(arns) > 0 {
		annotations[lbc.CertificateARN] = strings.Join(arns, ",")
	}
	o := OverlayParams{
		Namespace: e.namespace, Name: kubeobject.Name(e.name, part),
		Labels:      map[string]string{kubeobject.ManagedBy: kubeclient.FieldManager},
		Annotations: annotations,
		Spec:        networkingv1.IngressSpec{IngressClassName: className(r), TLS: tls, Rules: rules},
	}
	o.Members = r.membersHere()
	return o, nil
}

// ingress is the object that the overlay will be.
func (p OverlayParams) ingress() *networkingv1.Ingress {
	meta := metaAnnotations(p.Annotations)
	meta.Namespace, meta.Name, meta.Labels = p.Namespace, p.Name, p.Labels
	return &networkingv1.Ingress{ObjectMeta: meta, Spec: p.Spec}
}

func metaAnnotations(a map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Annotations: a}
}

// className is the class to write. The API server fills in the default class
// by itself, so a class that the Ingress has only by default is written out.
// Source: https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class
func className(r *reading) *string {
	if _, legacy := r.ing.Annotations[lbc.ClassAnnotation]; legacy {
		return nil
	}
	if r.ing.Spec.IngressClassName != nil {
		return r.ing.Spec.IngressClassName
	}
	if d := r.opts.Classes.Default; d != "" {
		return &d
	}
	return nil
}

func (r *reading) classesDiffer() bool {
	if len(r.members) == 0 {
		return false
	}
	first, _ := r.opts.Classes.Of(r.members[0])
	own, _ := r.opts.Classes.Of(r.ing)
	return first.Name != own.Name && (first.HasParams || own.HasParams)
}

func listenPorts(ports map[int]string) string {
	var items []string
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		items = append(items, fmt.Sprintf(`{"%s":%d}`, strings.ToUpper(ports[port]), port))
	}
	return "[" + strings.Join(items, ",") + "]"
}

// certificates are what noren's Ingress must say of certificates, so that its
// HTTPS listener keeps the one it shows to visitors who name no host: the first
// of the first member that names any. noren's Ingress comes first, so it names
// that same one. Where the first member leaves it to the controller to find
// one by its hosts, noren's does so, too, with all hosts of the Ingress as TLS
// hosts; unless the Ingress has certificates of its own, which may not be ones
// that can be found. Source: model_builder.go mergeListenPortConfigs
// (defaultCertMemberIndex), model_build_listener.go
// computeIngressInferredTLSCertARNs.
func certificates(r *reading, ports map[int]string) (arns []string, tls []networkingv1.IngressTLS) {
	class, _ := r.opts.Classes.Of(r.ing)
	if !hasHTTPS(ports) || len(class.CertificateARNs) > 0 {
		return nil, nil
	}
	if first := firstWithHTTPS(r); first != nil {
		if theirs := r.opts.Classes.Certificates(first); len(theirs) > 0 {
			return theirs[:1], nil
		}
	}
	if own := r.opts.Classes.Certificates(r.ing); len(own) > 0 {
		return own, nil
	}
	return nil, tlsHosts(r.ing)
}

func hasHTTPS(ports map[int]string) bool {
	return slices.Contains(slices.Collect(maps.Values(ports)), "https")
}

func tlsHosts(ing *networkingv1.Ingress) []networkingv1.IngressTLS {
	var hosts []string
	for _, t := range ing.Spec.TLS {
		hosts = append(hosts, t.Hosts...)
	}
	for _, rule := range ing.Spec.Rules {
		if rule.Host != "" {
			hosts = append(hosts, rule.Host)
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	slices.Sort(hosts)
	return []networkingv1.IngressTLS{{Hosts: slices.Compact(hosts)}}
}

func firstWithHTTPS(r *reading) *networkingv1.Ingress {
	for _, m := range r.members {
		if createdByUs(m) {
			continue
		}
		if ports, err := r.opts.Classes.Ports(m); err == nil && hasHTTPS(ports) {
			return m
		}
	}
	return nil
}

// certificateNote warns where the default certificate may change while closed:
// where noren's Ingress, at the order given, comes before the first member with
// HTTPS and neither names a certificate of the other's.
func certificateNote(r *reading, order int) string {
	first := firstWithHTTPS(r)
	ports, err := r.opts.Classes.Ports(r.ing)
	if err != nil || first == nil || !hasHTTPS(ports) {
		return ""
	}
	if len(r.opts.Classes.Certificates(first)) > 0 || lbc.Key(first) == lbc.Key(r.ing) {
		return ""
	}
	if theirs, err := lbc.Order(first); err == nil && theirs < order {
		return ""
	}
	return fmt.Sprintf("The certificate for visitors that name no host (no SNI) is found by the controller from the hosts of ingress %s. While closed it may be one of ingress %s. Browsers are not concerned.", lbc.Key(first), lbc.Key(r.ing))
}

// throughAnnotations are those of the Ingress that make its target groups and
// logins what they are. The controller makes a target group for each Ingress,
// Service and port, so the copy gets its own and must set it up alike.
// Source: model_build_target_group.go buildTargetGroupResourceID and the
// annotations that it reads; docs/guide/ingress/annotations.md "Authentication",
// "Health Check", "Traffic Routing".
func throughAnnotations(ing *networkingv1.Ingress) []string {
	prefixes := []string{"auth-", "jwt-validation", "target-", "backend-protocol", "healthcheck-", "healthy-threshold-count",
		"unhealthy-threshold-count", "success-codes", "multi-cluster-target-group"}
	var out []string
	for key := range ing.Annotations {
		rest, ok := strings.CutPrefix(key, lbc.Prefix)
		if ok && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(rest, p) }) {
			out = append(out, key)
		}
	}
	return out
}

// patchProposal inserts the curtain's rules into the Ingress itself. Its
// target groups are then the same, since Ingress, Service and port are.
func (e *entrance) patchProposal(r *reading, cur curtain, why string) (*driver.Proposal, []*networkingv1.Ingress, error) {
	annotations, rules, err := render(cur.all())
	if err != nil {
		return nil, nil, err
	}
	params := PatchParams{Namespace: e.namespace, Name: e.name, Annotations: annotations, Rules: rules, Members: r.membersHere()}
	patched := r.ing.DeepCopy()
	if patched.Annotations == nil {
		patched.Annotations = map[string]string{}
	}
	maps.Copy(patched.Annotations, annotations)
	patched.Spec.Rules = append(slices.Clone(rules), slices.DeleteFunc(patched.Spec.Rules, params.ours)...)
	after := make([]*networkingv1.Ingress, 0, len(r.members))
	for _, m := range r.members {
		if lbc.Key(m) == e.key() {
			m = patched
		}
		after = append(after, m)
	}
	p := &driver.Proposal{
		Strategy: StrategyPatch, Why: why, EditsOwned: true,
		Calls: []driver.Call{{Action: ActionPatch, Params: params}},
	}
	for _, editor := range gitops.Editors(r.ing, r.owner) {
		p.Notes = append(p.Notes, driver.Note{Warn: true, Text: fmt.Sprintf("Ingress %s is also written by %s, which would take the page away at its next run: pause it meanwhile.", e.key(), editor)})
	}
	return p, after, nil
}
