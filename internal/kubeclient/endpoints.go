package kubeclient

import (
	"context"
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
)

// Ready is the verdict on whether each of the Services of a namespace has a
// ready endpoint. Source:
// https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/ (a
// condition that is not set means ready).
func (c *Client) Ready(ctx context.Context, namespace string, services []string) (action.Verdict, error) {
	list, err := c.Typed.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return action.Verdict{}, Classify(err, "list the endpoint slices of namespace "+namespace)
	}
	ready, all := map[string]int{}, map[string]int{}
	for _, slice := range list.Items {
		service := slice.Labels[discoveryv1.LabelServiceName]
		for _, e := range slice.Endpoints {
			all[service]++
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				ready[service]++
			}
		}
	}
	v := action.Verdict{OK: true, Summary: "every Service behind the entrance has a ready endpoint"}
	for _, s := range services {
		if ready[s] > 0 {
			continue
		}
		v.OK = false
		v.Findings = append(v.Findings, fmt.Sprintf("service %s/%s has no ready endpoint (0 of %d)", namespace, s, all[s]))
		v.Try = append(v.Try, fmt.Sprintf("kubectl -n %s get endpointslices -l %s=%s", namespace, discoveryv1.LabelServiceName, s))
	}
	if !v.OK {
		v.Summary = "the application behind the entrance would not answer"
	}
	return v, nil
}
