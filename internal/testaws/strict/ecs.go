package strict

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// mostServices is how many services one DescribeServices may name. Source:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
const mostServices = 10

// A Service is one of ECS, with its tasks.
type Service struct {
	Cluster, Name string
	Desired       int32
	// Daemon is the scheduling strategy, OldARN the form of its ARN.
	Daemon, OldARN bool
	// Strategy is how deployments are made; Deploying tells of one under way.
	Strategy  string
	Deploying bool
	// Stuck services start and stop no task, and say why.
	Stuck bool
	// Groups are the ARNs of the target groups that its tasks are in.
	Groups []string
	Tags   map[string]string

	region  string
	running int32
}

// AddService adds a service whose tasks run.
func (s *Server) AddService(svc Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc.running, svc.region = svc.Desired, s.Region
	if svc.Tags == nil {
		svc.Tags = map[string]string{}
	}
	s.ecs[svc.Cluster+"/"+svc.Name] = &svc
}

// Service returns a service as it is now, and how many of its tasks run.
func (s *Server) Service(name string) (svc Service, running int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.ecs[name], s.ecs[name].running
}

// ECS returns the service itself, for Edit.
func (s *Server) ECS(name string) *Service { return s.ecs[name] }

func (svc *Service) arn() string {
	if svc.OldARN {
		return fmt.Sprintf("arn:aws:ecs:%s:%s:service/%s", svc.region, Account, svc.Name)
	}
	return fmt.Sprintf("arn:aws:ecs:%s:%s:service/%s/%s", svc.region, Account, svc.Cluster, svc.Name)
}

// step starts or stops one task.
func (svc *Service) step() {
	switch {
	case svc.Stuck:
	case svc.running < svc.Desired:
		svc.running++
	case svc.running > svc.Desired:
		svc.running--
	}
}

func (svc *Service) shown(tags bool) map[string]any {
	strategy, state, said := "REPLICA", "COMPLETED", "has reached a steady state"
	if svc.Stuck {
		said = "was unable to place a task because no container instance met all of its requirements"
	}
	if svc.Daemon {
		strategy = "DAEMON"
	}
	if svc.Deploying {
		state = "IN_PROGRESS"
	}
	out := map[string]any{
		"serviceArn": svc.arn(), "serviceName": svc.Name, "status": "ACTIVE", "schedulingStrategy": strategy,
		"desiredCount": svc.Desired, "runningCount": svc.running, "pendingCount": max(svc.Desired-svc.running, 0),
		"deployments": []any{map[string]any{"status": "PRIMARY", "rolloutState": state}},
		"events":      []any{map[string]any{"id": "1", "message": fmt.Sprintf("(service %s) %s.", svc.Name, said)}},
	}
	var balancers []any
	for _, g := range svc.Groups {
		balancers = append(balancers, map[string]any{"targetGroupArn": g, "containerName": svc.Name, "containerPort": 80})
	}
	out["loadBalancers"] = balancers
	if svc.Strategy != "" {
		out["deploymentConfiguration"] = map[string]any{"strategy": svc.Strategy}
	}
	if tags {
		var list []any
		for _, k := range sortedKeys(svc.Tags) {
			list = append(list, map[string]string{"key": k, "value": svc.Tags[k]})
		}
		out["tags"] = list
	}
	return out
}

func (s *Server) hasCluster(name string) bool {
	for _, svc := range s.ecs {
		if svc.Cluster == name {
			return true
		}
	}
	return false
}

func (s *Server) clusterOf(name string) error {
	if !s.hasCluster(name) {
		return refuse("ClusterNotFoundException", "Cluster not found.")
	}
	return nil
}

type tagPair struct{ Key, Value string }

func ecsOperations() map[string]operation {
	return map[string]operation{
		"DescribeServices": with(false, describeServices),
		"UpdateService":    with(true, updateService),
		"ListClusters":     with(false, listClusters),
		"ListServices":     with(false, listServices),
		"TagResource":      with(true, tagService),
		"UntagResource":    with(true, untagService),
	}
}

func describeServices(s *Server, in struct {
	Cluster  string
	Services []string
	Include  []string
},
) (any, error) {
	if len(in.Services) == 0 || len(in.Services) > mostServices {
		return nil, refuse("InvalidParameterException", "Services cannot be empty or more than %d", mostServices)
	}
	if err := s.clusterOf(in.Cluster); err != nil {
		return nil, err
	}
	services, failures := []any{}, []any{}
	for _, name := range in.Services {
		svc := s.ecs[in.Cluster+"/"+name]
		if svc == nil {
			failures = append(failures, map[string]string{"arn": fmt.Sprintf("arn:aws:ecs:%s:%s:service/%s/%s", s.Region, Account, in.Cluster, name), "reason": "MISSING"})
			continue
		}
		services = append(services, svc.shown(len(in.Include) > 0))
		svc.step()
	}
	return map[string]any{"services": services, "failures": failures}, nil
}

func updateService(s *Server, in struct {
	Cluster, Service string
	DesiredCount     *int32
},
) (any, error) {
	if err := s.clusterOf(in.Cluster); err != nil {
		return nil, err
	}
	svc := s.ecs[in.Cluster+"/"+in.Service]
	switch {
	case svc == nil:
		return nil, refuse("ServiceNotFoundException", "Service not found.")
	case svc.Daemon && in.DesiredCount != nil:
		return nil, refuse("InvalidParameterException", "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again.")
	case in.DesiredCount != nil:
		svc.Desired = *in.DesiredCount
	}
	return map[string]any{"service": svc.shown(false)}, nil
}

func listClusters(s *Server, _ struct{},
) (any, error) {
	seen := map[string]bool{}
	arns := []string{}
	for _, svc := range sorted(s.ecs) {
		if !seen[svc.Cluster] {
			seen[svc.Cluster] = true
			arns = append(arns, fmt.Sprintf("arn:aws:ecs:%s:%s:cluster/%s", s.Region, Account, svc.Cluster))
		}
	}
	return map[string]any{"clusterArns": arns}, nil
}

// listServices answers page by page. Source:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServices.html
func listServices(s *Server, in struct {
	Cluster, NextToken string
	MaxResults         int
},
) (any, error) {
	if err := s.clusterOf(in.Cluster); err != nil {
		return nil, err
	}
	if in.MaxResults > 100 {
		return nil, refuse("InvalidParameterException", "maxResults is at most 100")
	}
	arns := []string{}
	for _, svc := range sorted(s.ecs) {
		if svc.Cluster == in.Cluster {
			arns = append(arns, svc.arn())
		}
	}
	from, _ := strconv.Atoi(in.NextToken) // "" is the beginning
	to := min(from+cmp.Or(in.MaxResults, 10), len(arns))
	out := map[string]any{"serviceArns": arns[from:to]}
	if to < len(arns) {
		out["nextToken"] = strconv.Itoa(to)
	}
	return out, nil
}

func tagService(s *Server, in struct {
	ResourceArn string
	Tags        []tagPair
},
) (any, error) {
	svc, err := s.byARN(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	more := map[string]string{}
	for _, t := range in.Tags {
		more[t.Key] = t.Value
	}
	return struct{}{}, setTags(svc.Tags, more)
}

func untagService(s *Server, in struct {
	ResourceArn string
	TagKeys     []string
},
) (any, error) {
	svc, err := s.byARN(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(svc.Tags, k)
	}
	return struct{}{}, nil
}

// byARN finds a service to tag. Source for the refusal:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html
func (s *Server) byARN(arn string) (*Service, error) {
	for _, svc := range s.ecs {
		if svc.arn() != arn {
			continue
		}
		if svc.OldARN {
			return nil, refuse("InvalidParameterException", "Long arn format must be used for tagging operations")
		}
		return svc, nil
	}
	return nil, refuse("InvalidParameterException", "The specified service %s is not found", arn[strings.LastIndex(arn, "/")+1:])
}
