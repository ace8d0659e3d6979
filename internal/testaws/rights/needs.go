package rights

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A protocol is how a service is spoken to.
type protocol int

const (
	jsonRPC protocol = iota
	query
	rpcCBOR
)

// scope is what a request is signed for: a region and a service.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
var scope = regexp.MustCompile(`Credential=[^/]*/\d+/([^/]+)/([^/]+)/aws4_request`)

// prefixes are what actions begin with, by the service that a request is signed
// for or by the header X-Amz-Target.
var prefixes = map[string]string{
	"elasticloadbalancing": "elasticloadbalancing", "autoscaling": "autoscaling", "monitoring": "cloudwatch", "sts": "sts",
	"AmazonEC2ContainerServiceV20141113": "ecs", "AnyScaleFrontendService": "application-autoscaling", "AWSEvents": "events",
}

// An asking is a request, read as far as it says what it needs.
type asking struct {
	region string
	form   url.Values
	body   map[string]any
}

func (a asking) arn(service, resource string) string {
	return strings.Join([]string{"arn", "aws", service, a.region, account, resource}, ":")
}

func (a asking) text(key string) string {
	s, _ := a.body[key].(string)
	return s
}

// members are a list of the query protocol: the values of Name.member.N and, if
// below is not empty, of Name.member.N.below.
func (a asking) members(name, below string) []string {
	var all []string
	for n := 1; ; n++ {
		key := fmt.Sprintf("%s.member.%d%s", name, n, below)
		if !a.form.Has(key) {
			return all
		}
		all = append(all, a.form.Get(key))
	}
}

// needsOf tells what a request needs. One that nobody knows needs what no policy
// grants.
func needsOf(r *http.Request, body []byte) (protocol, []Need) {
	m := scope.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return jsonRPC, []Need{{"unsigned", "unknown"}}
	}
	a, service := asking{region: m[1]}, m[2]
	if prefix, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		_ = json.Unmarshal(body, &a.body) // the server will say so
		return jsonRPC, a.needs(prefixes[prefix] + ":" + operation)
	}
	if _, operation, ok := strings.Cut(r.URL.Path, "/operation/"); ok {
		return rpcCBOR, a.needs(prefixes[service] + ":" + operation)
	}
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		a.form, _ = url.ParseQuery(string(body)) // the server will say so
		return query, a.needs(prefixes[service] + ":" + a.form.Get("Action"))
	}
	_ = json.Unmarshal(body, &a.body)
	for _, rest := range rests {
		if rest.service != service || rest.method != r.Method {
			continue
		}
		if m := rest.path.FindStringSubmatch(r.URL.Path); m != nil {
			needs := []Need{{service + ":" + rest.operation, rest.resource(a, r, m[1:])}}
			if rest.operation == "UpdateSchedule" {
				target, _ := a.body["Target"].(map[string]any)
				role, _ := target["RoleArn"].(string)
				needs = append(needs, Need{"iam:PassRole", role})
			}
			return jsonRPC, needs
		}
	}
	return jsonRPC, []Need{{service + ":" + r.Method + " " + r.URL.Path, "unknown"}}
}

// needs are those of an operation of a service that is not spoken to in REST.
func (a asking) needs(action string) []Need {
	var on []string
	if tell, known := resources[action]; known {
		on = tell(a)
	} else if _, operation, _ := strings.Cut(action, ":"); !strings.HasPrefix(operation, "Describe") && !strings.HasPrefix(operation, "List") && !strings.HasPrefix(operation, "Get") {
		on = []string{"unknown"}
	} else {
		on = []string{"*"} // AWS knows none for most that only read
	}
	var needs []Need
	for _, resource := range on {
		needs = append(needs, Need{action, resource})
	}
	if listener := a.form.Get("ListenerArn"); action == "elasticloadbalancing:CreateRule" && a.form.Has("Tags.member.1.Key") {
		needs = append(needs, Need{"elasticloadbalancing:AddTags", strings.Replace(listener, ":listener/", ":listener-rule/", 1) + "/0"})
	}
	return needs
}

// resources tell what an action is about.
var resources = map[string]func(asking) []string{
	"ecs:ListServices": func(a asking) []string { return []string{a.arn("ecs", "cluster/"+a.text("cluster"))} },
	"ecs:DescribeServices": func(a asking) []string {
		var all []string
		names, _ := a.body["services"].([]any)
		for _, name := range names {
			all = append(all, a.arn("ecs", fmt.Sprintf("service/%s/%v", a.text("cluster"), name)))
		}
		return all
	},
	"ecs:UpdateService": func(a asking) []string {
		return []string{a.arn("ecs", "service/"+a.text("cluster")+"/"+a.text("service"))}
	},
	"ecs:TagResource":   func(a asking) []string { return []string{a.text("resourceArn")} },
	"ecs:UntagResource": func(a asking) []string { return []string{a.text("resourceArn")} },

	"application-autoscaling:RegisterScalableTarget": func(a asking) []string {
		return []string{a.arn("application-autoscaling", "scalable-target/0ec5a1")}
	},
	"application-autoscaling:ListTagsForResource": func(a asking) []string { return []string{a.text("ResourceARN")} },
	"application-autoscaling:TagResource":         func(a asking) []string { return []string{a.text("ResourceARN")} },
	"application-autoscaling:UntagResource":       func(a asking) []string { return []string{a.text("ResourceARN")} },

	"elasticloadbalancing:CreateRule":        func(a asking) []string { return []string{a.form.Get("ListenerArn")} },
	"elasticloadbalancing:ModifyRule":        func(a asking) []string { return []string{a.form.Get("RuleArn")} },
	"elasticloadbalancing:DeleteRule":        func(a asking) []string { return []string{a.form.Get("RuleArn")} },
	"elasticloadbalancing:SetRulePriorities": func(a asking) []string { return a.members("RulePriorities", ".RuleArn") },
	"elasticloadbalancing:AddTags":           func(a asking) []string { return a.members("ResourceArns", "") },
	"elasticloadbalancing:RemoveTags":        func(a asking) []string { return a.members("ResourceArns", "") },

	"autoscaling:UpdateAutoScalingGroup": group,
	"autoscaling:SuspendProcesses":       group,
	"autoscaling:ResumeProcesses":        group,
	"autoscaling:CreateOrUpdateTags":     groupTags,
	"autoscaling:DeleteTags":             groupTags,

	"events:DescribeRule":        rule,
	"events:DisableRule":         rule,
	"events:EnableRule":          rule,
	"events:PutRule":             rule,
	"events:ListTagsForResource": func(a asking) []string { return []string{a.text("ResourceARN")} },
	"events:TagResource":         func(a asking) []string { return []string{a.text("ResourceARN")} },
	"events:UntagResource":       func(a asking) []string { return []string{a.text("ResourceARN")} },
}

func group(a asking) []string {
	return []string{a.arn("autoscaling", "autoScalingGroup:0ec5a1:autoScalingGroupName/"+a.form.Get("AutoScalingGroupName"))}
}

func groupTags(a asking) []string {
	var all []string
	for _, name := range a.members("Tags", ".ResourceId") {
		all = append(all, a.arn("autoscaling", "autoScalingGroup:0ec5a1:autoScalingGroupName/"+name))
	}
	return all
}

func rule(a asking) []string {
	name := a.text("Name")
	if bus := a.text("EventBusName"); bus != "" && bus != "default" {
		name = bus + "/" + name
	}
	return []string{a.arn("events", "rule/"+name)}
}

// rests are the operations of services that are spoken to in REST. Sources:
// https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html,
// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html
var rests = []struct {
	service, method string
	path            *regexp.Regexp
	operation       string
	resource        func(a asking, r *http.Request, m []string) string
}{
	{"lambda", http.MethodGet, regexp.MustCompile(`^/2015-03-31/event-source-mappings/?$`), "ListEventSourceMappings", all},
	{"lambda", http.MethodGet, regexp.MustCompile(`^/2015-03-31/event-source-mappings/([^/]+)$`), "GetEventSourceMapping", source},
	{"lambda", http.MethodPut, regexp.MustCompile(`^/2015-03-31/event-source-mappings/([^/]+)$`), "UpdateEventSourceMapping", source},
	{"lambda", http.MethodGet, regexp.MustCompile(`^/2015-03-31/functions/?$`), "ListFunctions", all},
	{"lambda", http.MethodGet, regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/configuration$`), "GetFunctionConfiguration", function},
	{"lambda", http.MethodGet, regexp.MustCompile(`^/2019-09-30/functions/([^/]+)/concurrency$`), "GetFunctionConcurrency", function},
	{"lambda", http.MethodPut, regexp.MustCompile(`^/2017-10-31/functions/([^/]+)/concurrency$`), "PutFunctionConcurrency", function},
	{"lambda", http.MethodDelete, regexp.MustCompile(`^/2017-10-31/functions/([^/]+)/concurrency$`), "DeleteFunctionConcurrency", function},
	{"lambda", http.MethodGet, regexp.MustCompile(`^/2017-03-31/tags/(.+)$`), "ListTags", itself},
	{"lambda", http.MethodPost, regexp.MustCompile(`^/2017-03-31/tags/(.+)$`), "TagResource", itself},
	{"lambda", http.MethodDelete, regexp.MustCompile(`^/2017-03-31/tags/(.+)$`), "UntagResource", itself},
	{"scheduler", http.MethodGet, regexp.MustCompile(`^/schedules/?$`), "ListSchedules", all},
	{"scheduler", http.MethodGet, regexp.MustCompile(`^/schedules/([^/]+)$`), "GetSchedule", schedule},
	{"scheduler", http.MethodPut, regexp.MustCompile(`^/schedules/([^/]+)$`), "UpdateSchedule", schedule},
}

func all(asking, *http.Request, []string) string { return "*" }

func itself(_ asking, _ *http.Request, m []string) string { return m[0] }

func source(a asking, _ *http.Request, m []string) string {
	return a.arn("lambda", "event-source-mapping:"+m[0])
}

func function(a asking, _ *http.Request, m []string) string {
	return a.arn("lambda", "function:"+m[0])
}

func schedule(a asking, r *http.Request, m []string) string {
	group := r.URL.Query().Get("groupName")
	if named := a.text("GroupName"); named != "" {
		group = named
	}
	if group == "" {
		group = "default"
	}
	return a.arn("scheduler", "schedule/"+group+"/"+m[0])
}
