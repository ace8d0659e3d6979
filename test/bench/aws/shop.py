"""Builds a shop on moto, closes and opens it as a boto3 script would, and writes
what the AWS CLI and terraform need to do the same.

    shop.py build|look|close|open|script-close|script-open|terraform WORLD.json

WORLD.json says what there is: endpoints, services, the address of AWS and of the
monitors' vendor. What build and close learn (ARNs, ids) is written back to it.
Nothing is looked at before it is written, nothing is kept on disk before the first
write, nothing is proved: it is what people write who only need the calls.
"""

import json
import os
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

AT_ONCE = 16

verb, path = sys.argv[1:3]
with open(path) as f:
    world = json.load(f)


def client(name):
    return boto3.client(
        name, region_name=world["region"], endpoint_url=world["endpoint"], aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(max_pool_connections=AT_ONCE, retries={"mode": "standard", "max_attempts": 10}))


elb, ecs, scaling = client("elbv2"), client("ecs"), client("application-autoscaling")


def side_by_side(do, things):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(do, things))


def build():
    subnets = [s["SubnetId"] for s in client("ec2").describe_subnets()["Subnets"][:2]]
    world["subnets"] = subnets
    vpc = client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    world["listeners"] = {}
    for name in sorted({e["balancer"] for e in world["endpoints"]}):
        lb = elb.create_load_balancer(Name=name, Subnets=subnets, Type="application")["LoadBalancers"][0]["LoadBalancerArn"]
        nothing = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "nothing here"}}
        world["listeners"][name] = elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=80, DefaultActions=[nothing])["Listeners"][0]["ListenerArn"]
    for i, e in enumerate(world["endpoints"]):
        group = elb.create_target_group(Name=e["service"], Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip", HealthCheckPath=e["health"])["TargetGroups"][0]["TargetGroupArn"]
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.%d" % (i + 1)}])
        # moto has no room for renumbering rules: those of the user stand back.
        elb.create_rule(ListenerArn=world["listeners"][e["balancer"]], Priority=1001 + i, Conditions=conditions(e),
                        Actions=[{"Type": "forward", "TargetGroupArn": group}])
    for cluster in sorted({s["cluster"] for s in world["services"]}):
        ecs.create_cluster(clusterName=cluster)
    ecs.register_task_definition(family="web", containerDefinitions=[{"name": "web", "image": "web", "memory": 64}])
    for s in world["services"]:
        ecs.create_service(cluster=s["cluster"], serviceName=s["name"], taskDefinition="web", desiredCount=s["desired"],
                           # terraform's provider crashes where a service has none.
                           networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [], "assignPublicIp": "DISABLED"}})
        # In moto the tasks of a service run once its count is set again.
        ecs.update_service(cluster=s["cluster"], service=s["name"], desiredCount=s["desired"])
        scaling.register_scalable_target(MinCapacity=1, MaxCapacity=6, **target(s))


def target(s):
    return {"ServiceNamespace": "ecs", "ResourceId": "service/%s/%s" % (s["cluster"], s["name"]), "ScalableDimension": "ecs:service:DesiredCount"}


def conditions(e):
    out = [{"Field": "host-header", "HostHeaderConfig": {"Values": [e["host"]]}}]
    if e["path"]:
        out.append({"Field": "path-pattern", "PathPatternConfig": {"Values": [e["path"]]}})
    return out


def vendor(method, path, body=None):
    request = urllib.request.Request(
        world["vendor"] + path, method=method, data=json.dumps(body).encode() if body else None,
        headers={"DD-API-KEY": world["key"], "DD-APPLICATION-KEY": world["key"], "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def close():
    page = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/html", "MessageBody": "closed " * 140}}

    def mute(m):
        m["id"] = json.loads(vendor("POST", "/api/v2/downtime", m["downtime"]))["data"]["id"]

    def shut(e):
        rule = elb.create_rule(ListenerArn=world["listeners"][e["balancer"]], Priority=e["priority"], Conditions=conditions(e), Actions=[page])
        e["rule"] = rule["Rules"][0]["RuleArn"]

    def rest(s):
        suspended = {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True}
        scaling.register_scalable_target(SuspendedState=suspended, **target(s))
        ecs.update_service(cluster=s["cluster"], service=s["name"], desiredCount=0)

    side_by_side(mute, world["monitors"])
    side_by_side(shut, world["endpoints"])
    side_by_side(rest, world["services"])


def reopen():
    def work(s):
        ecs.update_service(cluster=s["cluster"], service=s["name"], desiredCount=s["desired"])
        working = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}
        scaling.register_scalable_target(SuspendedState=working, **target(s))

    side_by_side(work, world["services"])
    side_by_side(lambda e: elb.delete_rule(RuleArn=e.pop("rule")), world["endpoints"])
    side_by_side(lambda m: vendor("DELETE", "/api/v2/downtime/" + m.pop("id")), world["monitors"])


def look():
    """Prints how many pages are up, services rest, monitors are muted."""
    pages = 0
    for listener in world["listeners"].values():
        for page in elb.get_paginator("describe_rules").paginate(ListenerArn=listener):
            pages += sum(r["Priority"] != "default" and r["Actions"][0].get("FixedResponseConfig", {}).get("StatusCode") == "503" for r in page["Rules"])
    resting = 0
    for s in world["services"]:
        found = ecs.describe_services(cluster=s["cluster"], services=[s["name"]])["services"][0]
        suspended = scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[target(s)["ResourceId"]])["ScalableTargets"][0].get("SuspendedState", {})
        resting += found["desiredCount"] == 0 and found["runningCount"] == 0 and suspended.get("DynamicScalingOutSuspended", False)
    muted, seen = 0, 0
    while some := json.loads(vendor("GET", "/api/v2/downtime?page[limit]=100&page[offset]=%d" % seen))["data"]:
        muted, seen = muted + sum(m["attributes"]["status"] != "canceled" for m in some), seen + len(some)
    print(pages, resting, muted)


def script(closing):
    """Writes the commands of a shell script, one on a line, to close.* or open.*."""
    rest = json.dumps({k + "Suspended": closing for k in ("DynamicScalingIn", "DynamicScalingOut", "ScheduledScaling")})
    curl = "curl -fsS -H 'DD-API-KEY: {key}' -H 'DD-APPLICATION-KEY: {key}' ".format(**world)
    lines = {"monitors": [], "endpoints": [], "services": []}
    for i, m in enumerate(world["monitors"]):
        if closing:
            lines["monitors"].append(curl + "-H 'Content-Type: application/json' -d '%s' %s/api/v2/downtime | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/' >m%d" % (json.dumps(m["downtime"]), world["vendor"], i))
        else:
            lines["monitors"].append(curl + "-X DELETE %s/api/v2/downtime/$(cat m%d)" % (world["vendor"], i))
    page = json.dumps([{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/html", "MessageBody": "closed " * 140}}])
    for i, e in enumerate(world["endpoints"]):
        if closing:
            lines["endpoints"].append("aws elbv2 create-rule --listener-arn %s --priority %d --conditions '%s' --actions '%s' --query 'Rules[0].RuleArn' >e%d"
                                      % (world["listeners"][e["balancer"]], e["priority"], json.dumps(conditions(e)), page, i))
        else:
            lines["endpoints"].append("aws elbv2 delete-rule --rule-arn $(cat e%d)" % i)
    for s in world["services"]:
        t = target(s)
        both = ["aws application-autoscaling register-scalable-target --service-namespace ecs --resource-id %s --scalable-dimension %s --suspended-state '%s' >/dev/null"
                % (t["ResourceId"], t["ScalableDimension"], rest),
                "aws ecs update-service --cluster %s --service %s --desired-count %d >/dev/null" % (s["cluster"], s["name"], 0 if closing else s["desired"])]
        lines["services"].append(" && ".join(both if closing else both[::-1]))
    for part, commands in lines.items():
        with open("%s/%s.%s" % (os.path.dirname(path), "close" if closing else "open", part), "w") as f:
            f.writelines(c + "\n" for c in commands)


def terraform():
    """Writes main.tf.json: the services as they are, and a page for each endpoint where var.closed."""
    services = {s["name"]: {"cluster": s["cluster"], "desired": s["desired"]} for s in world["services"]}
    endpoints = {e["service"]: {"listener": world["listeners"][e["balancer"]], "priority": e["priority"], "host": e["host"], "paths": [e["path"]] if e["path"] else []}
                 for e in world["endpoints"]}
    apis = ("elbv2", "ecs", "appautoscaling", "sts", "iam", "ec2")
    config = {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
        "provider": {"aws": {"region": world["region"], "access_key": "test", "secret_key": "test", "skip_credentials_validation": True, "skip_metadata_api_check": True,
                             "skip_requesting_account_id": True, "endpoints": [{a: world["endpoint"] for a in apis}]}},
        "variable": {"closed": {"type": "bool", "default": False}},
        "locals": {"services": services, "endpoints": endpoints},
        "import": [
            {"for_each": "${local.services}", "to": "aws_ecs_service.all[each.key]", "id": "${each.value.cluster}/${each.key}"},
            {"for_each": "${local.services}", "to": "aws_appautoscaling_target.all[each.key]", "id": "ecs/service/${each.value.cluster}/${each.key}/ecs:service:DesiredCount"}],
        "resource": {
            "aws_lb_listener_rule": {"closed": {
                "for_each": "${var.closed ? local.endpoints : {}}", "listener_arn": "${each.value.listener}", "priority": "${each.value.priority}",
                "action": [{"type": "fixed-response", "fixed_response": [{"status_code": "503", "content_type": "text/html", "message_body": "closed " * 140}]}],
                "condition": [{"host_header": [{"values": ["${each.value.host}"]}]}],
                "dynamic": {"condition": {"for_each": "${length(each.value.paths) > 0 ? [1] : []}", "content": {"path_pattern": [{"values": "${each.value.paths}"}]}}}}},
            "aws_ecs_service": {"all": {"for_each": "${local.services}", "name": "${each.key}", "cluster": "${each.value.cluster}", "task_definition": "web",
                                        "network_configuration": [{"subnets": world["subnets"]}],
                                        "desired_count": "${var.closed ? 0 : each.value.desired}"}},
            "aws_appautoscaling_target": {"all": {
                "for_each": "${local.services}", "service_namespace": "ecs", "resource_id": "service/${each.value.cluster}/${each.key}",
                "scalable_dimension": "ecs:service:DesiredCount", "min_capacity": 1, "max_capacity": 6,
                "suspended_state": [{"dynamic_scaling_in_suspended": "${var.closed}", "dynamic_scaling_out_suspended": "${var.closed}", "scheduled_scaling_suspended": "${var.closed}"}]}}}}
    with open(os.path.dirname(path) + "/main.tf.json", "w") as f:
        json.dump(config, f, indent=1)


{"build": build, "close": close, "open": reopen, "look": look, "script-close": lambda: script(True), "script-open": lambda: script(False), "terraform": terraform}[verb]()
with open(path, "w") as f:
    json.dump(world, f)
