package ecs

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/strict"
	"github.com/noren-dev/noren/internal/testaws/wire"
)

// connect connects to a strict server with a service of three tasks, which
// something scales.
func connect(t testing.TB) (*awsclient.Conn, *strict.Server) {
	t.Helper()
	testaws.Isolate(t)
	s := strict.Start(t)
	s.AddService(strict.Service{Cluster: "shop", Name: "web", Desired: 3, Tags: map[string]string{"team": "cart"}})
	s.AddTarget("shop/web", strict.Target{Min: 2, Max: 9, Scheduled: true, Tags: map[string]string{"team": "cart"}})
	return testaws.Connect(t, s.Endpoint), s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// theirs are the tags that are not noren's, with whatever else is beside.
func theirs(tags map[string]string, beside ...any) string {
	tags = maps.Clone(tags)
	maps.DeleteFunc(tags, func(k, _ string) bool { return awsclient.IsMark(k) })
	raw, _ := json.Marshal([]any{tags, beside})
	return string(raw)
}

var web = key{"shop", "web"}

// TestScaleKeepsTheContract is for aws/ecs.scale.
func TestScaleKeepsTheContract(t *testing.T) {
	for name, to := range map[string]int32{"none left": 0, "one left": 1} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				c, s := connect(t)
				change, err := openScale(c, ScaleParams{web, to})
				must(t, err)
				in := driver.Bare(change)
				return actiontest.Target{
					Name: "ECS service shop/web", Change: in.Change, Marked: in.Marker.Marked,
					Mark: func(t testing.TB) *action.Mark {
						svc, _ := s.Service("shop/web")
						return testaws.Mark(t, svc.Tags)
					},
					Meddle: func(testing.TB) { s.Edit(func(s *strict.Server) { s.ECS("shop/web").Desired = 7 }) },
					MeddleBeside: func(testing.TB) {
						s.Edit(func(s *strict.Server) {
							s.ECS("shop/web").Tags["team"] = "checkout"
							s.ECS("shop/web").Strategy = "CANARY"
						})
					},
					Beside: func(testing.TB) string {
						svc, _ := s.Service("shop/web")
						return theirs(svc.Tags, svc.Strategy, svc.Daemon)
					},
					LoseNextAnswer: s.LoseNextAnswer, Writes: s.Writes,
				}
			}})
		})
	}
}

// TestScaleKeepsTheContractOnMoto is for aws/ecs.scale, on a server that is not
// of noren's making.
func TestScaleKeepsTheContractOnMoto(t *testing.T) {
	moto := testaws.Start(t)
	n := 0
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		n++
		cluster := fmt.Sprintf("shop%d", n)
		w := wire.New(t, moto.Endpoint)
		c, direct := testaws.Connect(t, w.Endpoint), clientOf(testaws.Connect(t, moto.Endpoint)).ecs
		_, err := direct.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String(cluster)})
		must(t, err)
		_, err = direct.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String("web"),
			ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("web"), Image: aws.String("example.com/web:1"), Memory: aws.Int32(64)}}})
		must(t, err)
		made, err := direct.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: aws.String(cluster), ServiceName: aws.String("web"), TaskDefinition: aws.String("web"), DesiredCount: aws.Int32(3)})
		must(t, err)
		get := func(t testing.TB) types.Service {
			out, err := direct.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{"web"}, Include: []types.ServiceField{types.ServiceFieldTags}})
			must(t, err)
			return out.Services[0]
		}
		tags := func(t testing.TB) map[string]string {
			all := map[string]string{}
			for _, tag := range get(t).Tags {
				all[*tag.Key] = *tag.Value
			}
			return all
		}
		change, err := openScale(c, ScaleParams{key{cluster, "web"}, 0})
		must(t, err)
		in := driver.Bare(change)
		return actiontest.Target{
			Name: "ECS service " + cluster + "/web", Change: in.Change, Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark { return testaws.Mark(t, tags(t)) },
			Meddle: func(t testing.TB) {
				_, err := direct.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String("web"), DesiredCount: aws.Int32(7)})
				must(t, err)
			},
			MeddleBeside: func(t testing.TB) {
				_, err := direct.TagResource(t.Context(), &ecs.TagResourceInput{ResourceArn: made.Service.ServiceArn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("cart")}}})
				must(t, err)
			},
			Beside:         func(t testing.TB) string { return theirs(tags(t)) },
			LoseNextAnswer: w.LoseNextAnswer, Writes: w.Writes,
		}
	}})
}

// TestSuspendKeepsTheContract is for aws/autoscaling.suspend. Moto neither tags
// scalable targets nor keeps what a partial suspension leaves out.
func TestSuspendKeepsTheContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		c, s := connect(t)
		change, err := openSuspend(c, SuspendParams{web})
		must(t, err)
		in := driver.Bare(change)
		return actiontest.Target{
			Name: "autoscaling of ECS service shop/web", Change: in.Change, Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark { return testaws.Mark(t, s.Target("shop/web").Tags) },
			Meddle: func(testing.TB) {
				s.Edit(func(s *strict.Server) { s.Scaling("shop/web").In = !s.Scaling("shop/web").In })
			},
			MeddleBeside: func(testing.TB) {
				s.Edit(func(s *strict.Server) {
					s.Scaling("shop/web").Max = 12
					s.Scaling("shop/web").Tags["team"] = "checkout"
				})
			},
			Beside: func(testing.TB) string {
				now := s.Target("shop/web")
				return theirs(now.Tags, now.Min, now.Max)
			},
			LoseNextAnswer: s.LoseNextAnswer, Writes: s.Writes,
		}
	}})
}

// aMark is one of some run.
func aMark(_ testing.TB, from action.State) action.Mark {
	return action.Mark{Receipt: action.Receipt{Run: "20260102-0304", Step: "rest-1", Action: "aws/ecs.scale", Target: "aws:test/ecs/shop/web", From: from, To: from}, Actor: "night@office"}
}
