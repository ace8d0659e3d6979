// Package ecs lets services of Amazon ECS rest while a service is closed: their
// count of tasks is brought down, after what would scale them back has been
// suspended.
package ecs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

const (
	// system is the name of the driver, in permissions.
	system = "aws"
	// kind is that of the workloads.
	kind = "aws/ecs"
)

// Parts are this package's part of the driver.
func Parts() []driver.Part[*awsclient.Conn] {
	return []driver.Part[*awsclient.Conn]{
		driver.Changes("aws/ecs.scale", "Give an ECS service another number of tasks", openScale),
		driver.Changes("aws/autoscaling.suspend", "Keep Application Auto Scaling from scaling an ECS service", openSuspend),
		driver.Rests(kind, "A service of Amazon ECS, as cluster/service", openWorkload),
	}
}

// A key names one service.
type key struct {
	Cluster string `json:"cluster"`
	Service string `json:"service"`
}

// Validate says what is missing.
func (k key) Validate() error {
	if k.Cluster == "" || k.Service == "" {
		return errors.New("cluster and service are needed")
	}
	return nil
}

func (k key) String() string { return k.Cluster + "/" + k.Service }

func (k key) name() string { return "ECS service " + k.String() }

// resourceID is how Application Auto Scaling calls the service. Source:
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
func (k key) resourceID() string { return "service/" + k.String() }

// split splits the name that the catalog gives.
func split(name string) (key, error) {
	cluster, service, ok := strings.Cut(name, "/")
	if !ok || cluster == "" || service == "" || strings.Contains(service, "/") {
		return key{}, errors.New("want cluster/service, such as shop/web; both are names and no ARNs")
	}
	return key{cluster, service}, nil
}

// mostServices is how many services one DescribeServices may name. Source:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
const mostServices = 10

// A client is what the actions of one connection share.
type client struct {
	conn    *awsclient.Conn
	ecs     *ecs.Client
	scaling *applicationautoscaling.Client

	mu        sync.Mutex
	clusters  map[string]*awsclient.Together[types.Service] // by cluster: its services by name
	targets   *awsclient.Together[scalable]                 // by resource id
	schedules *awsclient.Together[[]scheduled]              // by resource id
	tags      *awsclient.Together[map[string]string]        // of scalable targets, by ARN
}

func clientOf(c *awsclient.Conn) *client {
	return awsclient.Shared(c, func(c *awsclient.Conn) *client {
		cl := &client{conn: c, ecs: ecs.NewFromConfig(c.AWS), scaling: applicationautoscaling.NewFromConfig(c.AWS),
			clusters: map[string]*awsclient.Together[types.Service]{}}
		cl.targets = &awsclient.Together[scalable]{Most: mostTargets, Read: cl.readTargets}
		cl.schedules = &awsclient.Together[[]scheduled]{Most: mostTargets, Read: cl.readSchedules}
		cl.tags = &awsclient.Together[map[string]string]{Most: 1, Read: cl.readTags} // one call is about one target
		return cl
	})
}

// in is the reader of a cluster's services.
func (c *client) in(cluster string) *awsclient.Together[types.Service] {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.clusters[cluster]
	if t == nil {
		t = &awsclient.Together[types.Service]{Most: mostServices, Read: func(ctx context.Context, names []string) (map[string]*types.Service, error) {
			return c.describe(ctx, cluster, names)
		}}
		c.clusters[cluster] = t
	}
	return t
}

// expect says that a service will be read, with what scales it.
func (c *client) expect(k key) {
	c.in(k.Cluster).Expect(k.Service)
	c.targets.Expect(k.resourceID())
	c.schedules.Expect(k.resourceID())
}

// describe reads up to mostServices services with their tags. A service that
// was deleted is still told of for a while, as INACTIVE.
func (c *client) describe(ctx context.Context, cluster string, names []string) (map[string]*types.Service, error) {
	out, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: names, Include: []types.ServiceField{types.ServiceFieldTags}})
	if err != nil {
		return nil, c.conn.Classify(err, fmt.Sprintf("read the ECS services %s of cluster %s", strings.Join(names, ", "), cluster))
	}
	all := map[string]*types.Service{}
	for i := range out.Services {
		s := &out.Services[i]
		if aws.ToString(s.Status) != "INACTIVE" {
			all[aws.ToString(s.ServiceName)] = s
		}
	}
	for _, f := range out.Failures {
		if reason := aws.ToString(f.Reason); reason != "MISSING" {
			return nil, fmt.Errorf("read the ECS service %s: AWS says %s %s: %w", aws.ToString(f.Arn), reason, aws.ToString(f.Detail), action.ErrUnavailable)
		}
	}
	return all, nil
}

// service reads a service, nil if it or its cluster does not exist.
func (c *client) service(ctx context.Context, k key) (*types.Service, error) {
	s, err := c.in(k.Cluster).Get(ctx, k.Service)
	if awsclient.IsCode(err, "ClusterNotFoundException") {
		return nil, nil
	}
	return s, err
}

// missing is the answer that a service does not exist, with the nearest that
// does. What cannot be listed suggests nothing.
func (c *client) missing(ctx context.Context, k key) error {
	clusters, err := c.listClusters(ctx)
	if err != nil {
		return c.conn.Missing("ECS service", k.String(), "aws ecs list-services --cluster "+k.Cluster, nil)
	}
	found := false
	for _, name := range clusters {
		found = found || name == k.Cluster
	}
	if !found {
		return c.conn.Missing("ECS cluster", k.Cluster, "aws ecs list-clusters", clusters)
	}
	names, _ := c.listServices(ctx, k.Cluster)
	for i, name := range names {
		names[i] = k.Cluster + "/" + name
	}
	return c.conn.Missing("ECS service", k.String(), "aws ecs list-services --cluster "+k.Cluster, names)
}

// listClusters lists the names of all clusters.
func (c *client) listClusters(ctx context.Context) ([]string, error) {
	var names []string
	for pages := ecs.NewListClustersPaginator(c.ecs, &ecs.ListClustersInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.conn.Classify(err, "list the ECS clusters")
		}
		names = append(names, lastParts(page.ClusterArns)...)
	}
	return names, nil
}

// listServices lists the names of all services of a cluster.
func (c *client) listServices(ctx context.Context, cluster string) ([]string, error) {
	var names []string
	in := &ecs.ListServicesInput{Cluster: aws.String(cluster), MaxResults: aws.Int32(100)}
	for pages := ecs.NewListServicesPaginator(c.ecs, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.conn.Classify(err, "list the ECS services of cluster "+cluster)
		}
		names = append(names, lastParts(page.ServiceArns)...)
	}
	return names, nil
}

// lastParts are the names in ARNs: what follows their last slash.
func lastParts(arns []string) []string {
	names := make([]string, len(arns))
	for i, arn := range arns {
		names[i] = arn[strings.LastIndex(arn, "/")+1:]
	}
	return names
}

func (c *client) permission(verb string, k key, why string) action.Permission {
	return action.Permission{System: system, Verb: "ecs:" + verb, Resource: c.conn.ARN("ecs", k.resourceID()), Why: why}
}
