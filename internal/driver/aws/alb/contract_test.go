package alb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/test/albapi"
)

// A way is one of those in which a curtain comes to the front.
type way struct {
	api, shop, blog int // priorities of the user's rules
	options         Options
	closing         edge.Closing
}

func ways() map[string]way {
	shop := Options{Hosts: []string{"shop.localhost"}}
	many := Options{Hosts: []string{"shop.localhost", "www.localhost", "m.localhost", "s.localhost"}, Paths: []string{"/", "/api/*"}}
	office := func(c *edge.Closing) { staff(c); c.Bypass.Pass = "" }
	return map[string]way{
		"one rule, room":              {10, 20, 30, shop, closing()},
		"staff, room":                 {100, 200, 300, shop, closing(staff)},
		"staff, no room":              {1, 2, 3, shop, closing(staff)},
		"several rules close":         {100, 200, 300, many, closing()},
		"several, staff, and no room": {1, 2, 3, many, closing(office)},
		"whole listener, no room":     {1, 2, 3, Options{}, closing()},
	}
}

// TestCloseKeepsTheContract is for aws/alb.close.
func TestCloseKeepsTheContract(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				s := newScene(t, w.api, w.shop, w.blog)
				in, params := s.change(t, w.options, w.closing)
				return actiontest.Target{
					Name: fmt.Sprintf("listener front:%d", s.port), Change: in.Change, Marked: in.Marker.Marked,
					Mark:   func(t testing.TB) *action.Mark { return s.mark(t, s.listener) },
					Meddle: func(t testing.TB) { s.meddle(params.Curtain.ID) },
					MeddleBeside: func(t testing.TB) {
						s.api.AddRule(s.listener, 40000, albapi.Host("new.localhost", "", albapi.Forward(s.groups["blog"])), nil)
						s.api.SetDefault(s.listener, albapi.Forward(s.groups["blog"]))
					},
					Beside:         func(t testing.TB) string { return s.beside() },
					LoseNextAnswer: func(testing.TB) { s.api.LoseNextAnswer() },
					Writes:         func(testing.TB) int { return s.api.Writes() },
				}
			}})
		})
	}
}

// meddle writes another page on the rule that closes, or a rule that says it is
// noren's.
func (s *scene) meddle(id string) {
	rules, tags := s.api.Rules(s.listener)
	for i, r := range rules {
		if own := ownIn(tags[i]); own != nil && strings.HasPrefix(own.Name, "closed") {
			s.api.Edit(r.ARN, func(p *albrules.Placed) {
				p.Actions = []albrules.Action{{Type: albrules.TypeFixed, Fixed: &albrules.Fixed{Status: "500", Type: "text/plain", Body: "theirs"}}}
			})
			return
		}
	}
	theirs := albapi.Host("theirs.localhost", "", albapi.Forward(s.groups["web"]))
	s.api.AddRule(s.listener, 44000, theirs, ownTags(albrules.Own{ID: id, N: 0, Name: "closed"}))
}

// beside is all of the listener that is not noren's, without numbers.
func (s *scene) beside() string {
	rules, tags := s.api.Rules(s.listener)
	var out []string
	for i, r := range rules {
		if ownIn(tags[i]) == nil {
			out = append(out, fmt.Sprintf("%s %+v %d", r.ARN, r.Conditions, len(r.Actions)))
		}
	}
	drawing := s.api.Drawing(s.listener)
	return strings.Join(out, "\n") + drawing[strings.LastIndex(drawing, "default "):]
}
