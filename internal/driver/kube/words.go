package kube

import (
	"regexp"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// Resources, as kubectl writes them.
const (
	ingresses          = "ingresses.networking.k8s.io"
	ingressClasses     = "ingressclasses.networking.k8s.io"
	ingressClassParams = "ingressclassparams.elbv2.k8s.aws"
	endpointSlices     = "endpointslices.discovery.k8s.io"
	events             = "events"
	services           = "services"
)

// onlyKeys are the entries of m whose keys are in keys.
func onlyKeys(m, keys map[string]string) map[string]string {
	var out map[string]string
	for k := range keys {
		if v, ok := m[k]; ok {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// manifest shows an Ingress, or noren's part of one, as YAML. Passes are
// replaced by dots.
func manifest(namespace, name string, labels, annotations map[string]string, spec networkingv1.IngressSpec) string {
	metadata := map[string]any{"namespace": namespace, "name": name}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	object := map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": kubeobject.Plain(spec)}
	out, err := yaml.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return redact(string(out))
}

// secrets match a pass in the JSON of a condition: the value of the pass's
// header, and what follows the name of its cookie.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`("httpHeaderName":"` + edge.PassHeader + `","values":\[")[^"]*(")`),
	regexp.MustCompile(`(` + edge.PassCookie + `=)[^*"]*(\*?")`),
}

func redact(text string) string {
	for _, s := range secrets {
		text = s.ReplaceAllString(text, "${1}•••${2}")
	}
	return text
}

// markForm finds noren's token in a page, HTML or JSON. It reads only what
// package page writes.
var markForm = []*regexp.Regexp{
	regexp.MustCompile(`(?i)<meta\s+name=["']?noren["']?\s+content=["']?([A-Za-z0-9._-]{1,64})`),
	regexp.MustCompile(`"noren"\s*:\s*"([A-Za-z0-9._-]{1,64})"`),
}

func markIn(body string) string {
	for _, form := range markForm {
		if m := form.FindStringSubmatch(body); m != nil {
			return m[1]
		}
	}
	return ""
}
