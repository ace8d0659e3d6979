package kubepage

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// ServerParams say which Service leads to a page server.
type ServerParams struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      int32  `json:"port"`
}

// Validate says what is missing.
func (p ServerParams) Validate() error {
	if p.Namespace == "" || p.Service == "" || p.Port == 0 {
		return errors.New("namespace, service and port are needed")
	}
	return nil
}

// A ServerCheck tells whether a page server is there to lead requests to. It
// sends it none: noren is rarely where a Service can be reached from, and the
// proof through the front door is what counts.
type ServerCheck struct {
	client *kubeclient.Client
	system string
	env    driver.Env
	p      ServerParams
}

// OpenServerCheck opens the check. System is the driver's name.
func OpenServerCheck(client *kubeclient.Client, system string, env driver.Env, p ServerParams) (*ServerCheck, error) {
	return &ServerCheck{client, system, env, p}, nil
}

// Target implements driver.Targeted.
func (c *ServerCheck) Target() string {
	return fmt.Sprintf("%s:%s/%s/service/%s", c.system, c.env.Name, c.p.Namespace, c.p.Service)
}

// Requires implements action.Requirer.
func (c *ServerCheck) Requires() []action.Permission {
	own := func(verb, resource, why string) action.Permission {
		return action.Permission{System: c.system, Verb: verb, Resource: resource, Namespace: c.p.Namespace, Why: why}
	}
	return []action.Permission{own("get", "services", "see whether the page server is there"),
		own("list", "endpointslices.discovery.k8s.io", "see whether the page server would answer")}
}

// Check implements action.Check.
func (c *ServerCheck) Check(ctx context.Context) (action.Verdict, error) {
	name := fmt.Sprintf("service %s/%s", c.p.Namespace, c.p.Service)
	service, err := c.client.Typed.CoreV1().Services(c.p.Namespace).Get(ctx, c.p.Service, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return action.Verdict{Summary: "there is no page server in namespace " + c.p.Namespace,
			Findings: []string{"there is no " + name},
			Try:      []string{fmt.Sprintf("noren page manifest --namespace %s --name %s", c.p.Namespace, c.p.Service)}}, nil
	}
	if err != nil {
		return action.Verdict{}, kubeclient.Classify(err, "read "+name)
	}
	if !hasPort(service, c.p.Port) {
		return action.Verdict{Summary: "the page server has another port", Findings: []string{fmt.Sprintf("%s has no port %d", name, c.p.Port)},
			Try: []string{fmt.Sprintf("kubectl -n %s get service %s", c.p.Namespace, c.p.Service)}}, nil
	}
	slices, err := c.client.Typed.DiscoveryV1().EndpointSlices(c.p.Namespace).
		List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + c.p.Service})
	if err != nil {
		return action.Verdict{}, kubeclient.Classify(err, "list the endpoint slices of "+name)
	}
	ready, all := 0, 0
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			all++
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				ready++
			}
		}
	}
	if ready == 0 {
		return action.Verdict{Summary: "the page server would not answer", Findings: []string{fmt.Sprintf("%s has no ready endpoint (0 of %d)", name, all)},
			Try: []string{fmt.Sprintf("kubectl -n %s get pods -l app.kubernetes.io/name=%s", c.p.Namespace, pageapi.DefaultService)}}, nil
	}
	return action.Verdict{OK: true, Summary: fmt.Sprintf("the page server is there: %s, %d of %d endpoints ready", name, ready, all)}, nil
}

func hasPort(s *corev1.Service, port int32) bool {
	for _, p := range s.Spec.Ports {
		if p.Port == port {
			return true
		}
	}
	return false
}
