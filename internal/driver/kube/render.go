package kube

import (
	"fmt"
	"regexp"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// render writes pieces as annotations and rules of an Ingress, one rule for
// each piece: the order of spec.rules is kept by the controller, that of the
// paths within a rule is not (lbc.PathOrder).
func render(pieces []piece) (map[string]string, []networkingv1.IngressRule, error) {
	annotations := map[string]string{}
	var rules []networkingv1.IngressRule
	names := actionNames{taken: map[string]string{}, count: map[string]int{}}
	for _, p := range pieces {
		host := p.host
		if host != "" && !hostForm.MatchString(host) {
			p.conditions = append([]lbc.Condition{{Field: lbc.FieldHost, Host: &lbc.Values{Values: []string{host}}}}, p.conditions...)
			host = ""
		}
		name, err := names.of(p, annotations)
		if err != nil {
			return nil, nil, err
		}
		kind := p.pathType
		if p.path == "" {
			kind = networkingv1.PathTypeImplementationSpecific
		}
		rules = append(rules, networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: p.path, PathType: &kind,
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
					Name: name, Port: networkingv1.ServiceBackendPort{Name: lbc.UseAnnotation}}},
			}}},
		}})
	}
	return annotations, rules, nil
}

// hostForm is what spec.rules[].host may be; other patterns that a load
// balancer understands go into a condition. Source: k8s.io/kubernetes
// pkg/apis/networking/validation (IsDNS1123Subdomain, IsWildcardDNS1123Subdomain).
var hostForm = regexp.MustCompile(`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// actionNames gives every distinct action with its conditions a name:
// noren-closed, noren-staff-by-address, noren-staff-by-address-2 …
type actionNames struct {
	taken map[string]string
	count map[string]int
}

func (a actionNames) of(p piece, annotations map[string]string) (string, error) {
	action, err := kubeobject.JSON(p.action)
	if err != nil {
		return "", err
	}
	conditions := ""
	if len(p.conditions) > 0 {
		if conditions, err = kubeobject.JSON(p.conditions); err != nil {
			return "", err
		}
	}
	identity := p.part + "\n" + action + "\n" + conditions + "\n" + p.transforms
	if name, ok := a.taken[identity]; ok {
		return name, nil
	}
	a.count[p.part]++
	name := lbc.OursPrefix + p.part
	if n := a.count[p.part]; n > 1 {
		name += fmt.Sprintf("-%d", n)
	}
	a.taken[identity] = name
	annotations[lbc.ActionAnnotation(name)] = action
	if conditions != "" {
		annotations[lbc.ConditionsAnnotation(name)] = conditions
	}
	if p.transforms != "" {
		annotations[lbc.TransformsAnnotation(name)] = p.transforms
	}
	return name, nil
}
