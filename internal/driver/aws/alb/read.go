package alb

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/fault"
)

// A loadBalancer is one as the API tells of it.
type loadBalancer struct {
	arn, name, dns string
	kind           types.LoadBalancerTypeEnum
	tags           map[string]string
}

// read reads the load balancer with all its listeners, and refuses what noren
// cannot close.
func (e *entrance) read(ctx context.Context) (*reading, error) {
	have, err := e.account.conn.Account(ctx)
	if err != nil {
		return nil, err
	}
	if named := accountIn(e.place.listener + e.place.arn); named != "" && have != named {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "ARN of another account",
			Detail: fmt.Sprintf("%s is of account %s, and noren works in account %s here.", e.place.listener+e.place.arn, named, have),
			Try:    []string{fmt.Sprintf("aws: {role: \"arn:aws:iam::%s:role/noren\"}   # in a cluster of the environment", named)}}
	}
	lb, err := e.account.find(ctx, e.place)
	if err != nil {
		return nil, err
	}
	if err := refused(*lb, e.account.conn.Region()); err != nil {
		return nil, err
	}
	r := &reading{lb: *lb}
	if r.listeners, err = e.account.listenersOf(ctx, *lb); err != nil {
		return nil, err
	}
	if r.closed, err = e.choose(r); err != nil {
		return nil, err
	}
	r.quota = e.account.ruleQuota(ctx, e.options.RuleQuota)
	return r, nil
}

// find reads a load balancer by its name or ARN, with its tags.
func (a *account) find(ctx context.Context, p place) (*loadBalancer, error) {
	lb, err := a.balancers.Get(ctx, cmp.Or(p.arn, p.name))
	if err == nil && lb == nil {
		err = a.absent(ctx, p.name)
	}
	return lb, err
}

// readBalancers reads load balancers by their names and ARNs. AWS answers for all
// or none, so that where one is missing each is asked for by itself.
func (a *account) readBalancers(ctx context.Context, keys []string) (map[string]*loadBalancer, error) {
	out := map[string]*loadBalancer{}
	var found []*loadBalancer
	arns, names := slices.Clone(keys), slices.Clone(keys)
	arns = slices.DeleteFunc(arns, func(key string) bool { return !isARN(key) })
	names = slices.DeleteFunc(names, isARN)
	for _, input := range []*elb.DescribeLoadBalancersInput{{Names: names}, {LoadBalancerArns: arns}} {
		if len(input.Names)+len(input.LoadBalancerArns) == 0 {
			continue
		}
		answer, err := a.client.DescribeLoadBalancers(ctx, input)
		switch missing := awsclient.IsCode(err, "LoadBalancerNotFound", "LoadBalancerNotFoundException"); {
		case missing && len(keys) == 1:
			return out, nil
		case missing:
			return a.readEach(ctx, keys)
		case err != nil:
			return nil, a.conn.Classify(err, "read load balancer "+strings.Join(keys, ", "))
		}
		for _, lb := range answer.LoadBalancers {
			one := loadBalancerFrom(lb)
			found = append(found, &one)
			out[one.name], out[one.arn] = &one, &one
		}
	}
	return out, a.tagged(ctx, found...)
}

func (a *account) readEach(ctx context.Context, keys []string) (map[string]*loadBalancer, error) {
	out := map[string]*loadBalancer{}
	for _, key := range keys {
		one, err := a.readBalancers(ctx, []string{key})
		if err != nil {
			return nil, err
		}
		maps.Copy(out, one)
	}
	return out, nil
}

func isARN(key string) bool { return strings.HasPrefix(key, "arn:") }

func loadBalancerFrom(lb types.LoadBalancer) loadBalancer {
	return loadBalancer{arn: aws.ToString(lb.LoadBalancerArn), name: aws.ToString(lb.LoadBalancerName), dns: strings.ToLower(aws.ToString(lb.DNSName)), kind: lb.Type}
}

func (a *account) absent(ctx context.Context, name string) error {
	all, err := a.loadBalancers(ctx)
	if err != nil {
		return err
	}
	var have []string
	for _, lb := range all {
		have = append(have, lb.name)
	}
	f := &fault.Fault{Code: fault.NotFound, Summary: "load balancer does not exist",
		Detail: fmt.Sprintf("There is no load balancer %s in %s of environment %s.", name, a.conn.Region(), a.conn.Env.Name),
		Try:    []string{"aws elbv2 describe-load-balancers --region " + a.conn.Region() + " --query 'LoadBalancers[].LoadBalancerName'"}}
	switch near := fault.Nearest(name, have); {
	case near != "":
		f.Detail += fmt.Sprintf(" Did you mean %s?", near)
	case len(have) == 0:
		f.Detail += " There is none at all there: is it the right region and account?"
	}
	return f
}

// loadBalancers are all of the account in the region.
func (a *account) loadBalancers(ctx context.Context) ([]loadBalancer, error) {
	if _, err := a.conn.Account(ctx); err != nil { // another than the configuration says
		return nil, err
	}
	var all []loadBalancer
	pages := elb.NewDescribeLoadBalancersPaginator(a.client, &elb.DescribeLoadBalancersInput{PageSize: aws.Int32(pageSize)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, a.conn.Classify(err, "list the load balancers of "+a.conn.Region())
		}
		for _, lb := range page.LoadBalancers {
			all = append(all, loadBalancerFrom(lb))
		}
	}
	return all, nil
}

// tagged reads the tags of load balancers.
func (a *account) tagged(ctx context.Context, all ...*loadBalancer) error {
	var arns []string
	for _, lb := range all {
		arns = append(arns, lb.arn)
	}
	tags, err := a.tags(ctx, "load balancers", arns)
	if err != nil {
		return err
	}
	for _, lb := range all {
		lb.tags = tags[lb.arn]
	}
	return nil
}

// doors are the listeners of a load balancer by port.
func (a *account) doors(ctx context.Context, lb loadBalancer) ([]door, error) {
	all, err := a.listenersBy.Get(ctx, lb.arn)
	if err != nil || all == nil {
		return nil, err
	}
	return *all, nil
}

// readDoors reads the listeners of load balancers by their ARNs, of which one
// call takes one.
func (a *account) readDoors(ctx context.Context, arns []string) (map[string]*[]door, error) {
	out := map[string]*[]door{}
	for _, arn := range arns {
		name := loadBalancerOf(arn)
		var all []door
		pages := elb.NewDescribeListenersPaginator(a.client, &elb.DescribeListenersInput{LoadBalancerArn: aws.String(arn), PageSize: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, a.conn.Classify(err, "read the listeners of "+name)
			}
			for _, l := range page.Listeners {
				port := int(aws.ToInt32(l.Port))
				all = append(all, door{arn: aws.ToString(l.ListenerArn), name: fmt.Sprintf("listener %s:%d", name, port), port: port, protocol: string(l.Protocol)})
			}
		}
		slices.SortFunc(all, func(x, y door) int { return x.port - y.port })
		out[arn] = &all
	}
	return out, nil
}

func (a *account) listenersOf(ctx context.Context, lb loadBalancer) ([]albrules.Listener, error) {
	doors, err := a.doors(ctx, lb)
	if err != nil {
		return nil, err
	}
	var all []albrules.Listener
	for _, d := range doors {
		l, err := a.listener(ctx, d)
		if err != nil {
			return nil, err
		}
		if l.ARN != "" {
			all = append(all, l)
		}
	}
	return all, nil
}

// choose are the listeners to close.
func (e *entrance) choose(r *reading) ([]albrules.Listener, error) {
	var ports []string
	var chosen []albrules.Listener
	for _, l := range r.listeners {
		ports = append(ports, fmt.Sprint(l.Port))
		switch {
		case e.place.listener != "":
			if l.ARN == e.place.listener {
				return []albrules.Listener{l}, nil
			}
		case e.options.Port != 0:
			if l.Port == e.options.Port {
				return []albrules.Listener{l}, nil
			}
		case !l.OnlyRedirects():
			chosen = append(chosen, l)
		}
	}
	have := "It has none."
	if len(ports) > 0 {
		have = "It listens on port " + strings.Join(ports, ", ") + "."
	}
	switch {
	case e.place.listener != "":
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "listener does not exist", Detail: fmt.Sprintf("Load balancer %s has no listener %s. %s", r.lb.name, e.place.listener, have),
			Try: []string{"aws elbv2 describe-listeners --load-balancer-arn " + r.lb.arn}}
	case e.options.Port != 0:
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "listener does not exist", Detail: fmt.Sprintf("Load balancer %s has no listener on port %d. %s", r.lb.name, e.options.Port, have),
			Try: []string{"aws elbv2 describe-listeners --load-balancer-arn " + r.lb.arn}}
	case len(chosen) == 0 && len(ports) > 0:
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "nothing to close on the load balancer",
			Detail: fmt.Sprintf("Every listener of load balancer %s only sends visitors elsewhere. %s To close one nevertheless, name its port.", r.lb.name, have), Try: []string{"port: " + ports[0]}}
	case len(chosen) == 0:
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "nothing to close on the load balancer", Detail: fmt.Sprintf("Load balancer %s has no listener.", r.lb.name)}
	}
	return chosen, nil
}

// managers are prefixes of tags by which controllers know load balancers of
// their own, with who they are.
// Source: kubernetes-sigs/aws-load-balancer-controller pkg/deploy/tracking/provider.go;
// https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html
var managers = []struct{ prefix, who, instead string }{
	{"gateway.k8s.aws", "the AWS Load Balancer Controller, for a Gateway", "gateway/httproute"},
	{"ingress.k8s.aws/", "the AWS Load Balancer Controller, for an Ingress", "kube/ingress"},
	{"ingress.eks.amazonaws.com/", "EKS Auto Mode, for an Ingress", "kube/ingress"},
	{"elbv2.k8s.aws/cluster", "the AWS Load Balancer Controller", "kube/ingress"},
	{"kubernetes.io/cluster/", "a Kubernetes cluster", "kube/ingress"},
}

// refused says why a load balancer cannot be closed by rules.
func refused(lb loadBalancer, region string) error {
	if lb.kind != types.LoadBalancerTypeEnumApplication {
		kinds := map[types.LoadBalancerTypeEnum]string{types.LoadBalancerTypeEnumNetwork: "Network", types.LoadBalancerTypeEnumGateway: "Gateway"}
		return &fault.Fault{Code: fault.Invalid, Summary: "not an Application Load Balancer",
			Detail: fmt.Sprintf("%s in %s is a %s Load Balancer, which passes connections on and cannot answer requests. Close what is behind it: an Application Load Balancer, an Ingress, or noren's gate.", lb.name, region, kinds[lb.kind])}
	}
	for _, m := range managers {
		for key, value := range lb.tags {
			if !strings.HasPrefix(key, m.prefix) {
				continue
			}
			f := &fault.Fault{Code: fault.Invalid, Summary: "load balancer is managed by a controller",
				Detail: fmt.Sprintf("Load balancer %s is managed by %s (tag %s=%s), which deletes rules that it does not know. Close the object in the cluster instead, by an entrance of kind %s.", lb.name, m.who, key, value, m.instead),
				Try:    []string{fmt.Sprintf("entrances: [{kind: %s, name: %s}]", m.instead, nameFrom(lb.tags))}}
			return f
		}
	}
	return nil
}

// nameFrom is the object that a controller's tags name, as far as they do.
func nameFrom(tags map[string]string) string {
	for _, key := range []string{"ingress.k8s.aws/stack", "ingress.eks.amazonaws.com/stack"} {
		if strings.Contains(tags[key], "/") { // of a group, the name alone is there
			return tags[key]
		}
	}
	return "NAMESPACE/NAME"
}
