package alb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/testaws"
)

// A wire is the way to moto. It counts writes and can lose an answer.
type wire struct {
	moto string

	mu     sync.Mutex
	writes int
	lose   bool
}

func (w *wire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	form, _ := url.ParseQuery(string(body))
	ask, _ := http.NewRequestWithContext(r.Context(), r.Method, w.moto+r.URL.RequestURI(), bytes.NewReader(body))
	ask.Header = r.Header.Clone()
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	if call := form.Get("Action"); !strings.HasPrefix(call, "Describe") && call != "GetCallerIdentity" && answer.StatusCode == http.StatusOK {
		w.mu.Lock()
		lose := w.lose
		w.writes, w.lose = w.writes+1, false
		w.mu.Unlock()
		if lose {
			panic(http.ErrAbortHandler)
		}
	}
	out.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	out.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(out, answer.Body)
}

var subnetForm = regexp.MustCompile(`<subnetId>(subnet-[0-9a-f]+)</subnetId>`)

// subnets are those that every account of moto has.
func subnets(t testing.TB, endpoint string) []string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader("Action=DescribeSubnets&Version=2016-11-15"))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/"+testaws.Region+"/ec2/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	var out []string
	for _, m := range subnetForm.FindAllStringSubmatch(string(body), 2) {
		out = append(out, m[1])
	}
	return out
}

// TestCloseKeepsTheContractOnMoto is for aws/alb.close, where moto can be what
// AWS is: it refuses to move rules to priorities that are held by rules that move
// in the same call.
func TestCloseKeepsTheContractOnMoto(t *testing.T) {
	moto := testaws.Start(t)
	nets := subnets(t, moto.Endpoint)
	n := 0
	for name, w := range map[string]way{"one rule": ways()["one rule, room"], "staff": ways()["staff, room"], "several rules close": ways()["several rules close"]} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				n++
				return motoTarget(t, moto, nets, fmt.Sprintf("front-%d", n), w)
			}})
		})
	}
}

func motoTarget(t testing.TB, moto *testaws.Server, nets []string, lb string, w way) actiontest.Target {
	t.Helper()
	way := &wire{moto: moto.Endpoint}
	proxy := httptest.NewUnstartedServer(way)
	proxy.Config.SetKeepAlivesEnabled(false)
	proxy.Start()
	t.Cleanup(proxy.Close)
	c, err := awsclient.Open(t.Context(), awsclient.Config{Region: testaws.Region, Endpoint: proxy.URL}, driver.Env{Name: "prod", Now: time.Now})
	must(t, err)
	client := elb.NewFromConfig(c.AWS)
	made, err := client.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String(lb), Subnets: nets})
	must(t, err)
	group, err := client.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String(lb), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), TargetType: types.TargetTypeEnumIp, VpcId: made.LoadBalancers[0].VpcId})
	must(t, err)
	forward := []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: group.TargetGroups[0].TargetGroupArn}}
	listener, err := client.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: made.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: forward})
	must(t, err)
	arn := listener.Listeners[0].ListenerArn
	rule := func(ctx context.Context, priority int, host string, tags []types.Tag) {
		_, err := client.CreateRule(ctx, &elb.CreateRuleInput{ListenerArn: arn, Priority: aws.Int32(int32(priority)), Actions: forward, Tags: tags,
			Conditions: []types.RuleCondition{{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{host}}}}})
		must(t, err)
	}
	rule(t.Context(), w.shop, "shop.localhost", nil)
	s := &scene{conn: c}
	e, err := openEntrance(c, lb, w.options)
	must(t, err)
	survey, err := e.Survey(t.Context())
	must(t, err)
	closing := w.closing
	closing.Hosts = w.options.Hosts
	p, err := e.Close(survey, closing)
	must(t, err)
	params := p.Calls[0].Params.(CloseParams)
	typed, err := openClose(c, params)
	must(t, err)
	in := driver.Bare(typed)
	read := func(t testing.TB) albrules.Listener {
		l, err := accountOf(s.conn).rules(t.Context(), params.door())
		must(t, err)
		return l
	}
	return actiontest.Target{
		Name: params.door().name, Change: in.Change, Marked: in.Marker.Marked,
		Mark: func(t testing.TB) *action.Mark {
			for _, p := range read(t).Of(params.Curtain.ID) {
				tags, err := accountOf(c).tags(t.Context(), "a rule", []string{p.ARN})
				must(t, err)
				if m, ok := awsclient.MarkIn("", tags[p.ARN]); ok {
					return &m.Mark
				}
			}
			return nil
		},
		Meddle: func(t testing.TB) {
			own := read(t).Of(params.Curtain.ID)
			if len(own) == 0 {
				rule(t.Context(), 44000, "theirs.localhost", tagList(ownTags(albrules.Own{ID: params.Curtain.ID, Name: "closed"})))
				return
			}
			_, err := client.ModifyRule(t.Context(), &elb.ModifyRuleInput{RuleArn: aws.String(own[len(own)-1].ARN), Actions: forward})
			must(t, err)
		},
		MeddleBeside: func(t testing.TB) { rule(t.Context(), 40000, "new.localhost", nil) },
		Beside: func(t testing.TB) string {
			var out []string
			for _, u := range read(t).Users() {
				out = append(out, fmt.Sprint(u.ARN, u.Priority, u.Line(markIn)))
			}
			return strings.Join(out, "\n")
		},
		LoseNextAnswer: func(testing.TB) { way.mu.Lock(); defer way.mu.Unlock(); way.lose = true },
		Writes:         func(testing.TB) int { way.mu.Lock(); defer way.mu.Unlock(); return way.writes },
	}
}
