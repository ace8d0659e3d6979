package albrules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// A load balancer has no transactions: each call takes effect by itself. The
// order of the calls is such that, after each of them, customers meet the
// listener either as it was before or as it is to be. See decision 0025.
//
//   - One rule that closes, and room in front: everything else is created
//     first, that rule last; deleted, it is the first.
//   - More of them: all are parked at the back, behind a shield, which does what
//     the default action does, and are moved to the front in one call.
//   - No room in front: the user's rules are shifted in the same call.
const (
	// parking is the lowest priority at which rules are parked: those of noren's
	// in front of it are in effect, those from it on are not.
	parking = 45000
	// shiftBy is how far the user's rules are shifted, if there is room for it:
	// enough for every closing on the load balancer.
	shiftBy = 1000
	// reserve is kept free at the back for what is parked.
	reserve = 250
)

// A Curtain is the rules to put in front of a listener's own, by the name under
// which they are known again.
type Curtain struct {
	ID    string  `json:"id"`
	Rules []Named `json:"rules"`
	// Shift is by how much the user's rules are shifted, should it be needed.
	Shift int `json:"shift,omitempty"`
	// Base holds the priorities of the user's rules by the last part of their
	// ARNs, as they are when nothing is shifted.
	Base map[string]int `json:"base,omitempty"`
}

// A Step is one call. Exactly one of its parts is set.
type Step struct {
	Create *Create
	Order  []Place
	Delete string // ARN
}

// A Create makes a rule.
type Create struct {
	Own
	Rule
	Priority int
}

// A Place gives a rule another priority.
type Place struct {
	ARN      string
	Priority int
}

// Known adds to a curtain what it must know of the listener before anything is
// changed. It fails if there is no room.
func (c Curtain) Known(l Listener) (Curtain, error) {
	now, last := l.shift(), 0
	c.Base = map[string]int{}
	for _, u := range l.Users() {
		p := u.Priority
		if p > now {
			p -= now
		}
		c.Base[short(u.ARN)] = p
		last = max(last, p)
	}
	c.Shift = min(shiftBy, MaxPriority-reserve-last)
	if c.closing() > 1 && !Copyable(l.Default) {
		return c, &fault.Fault{Code: fault.Invalid, Summary: "a login cannot be copied",
			Detail: fmt.Sprintf("Closing takes %d rules on port %d, to be put up at once, and meanwhile one that does what the default action does. That asks for a login, and AWS does not tell the client secret that a copy of it needs.", c.closing(), l.Port),
			Try:    []string{"hosts: […]   # of the entrance: up to five values together with paths take one rule"}}
	}
	_, found := l.run(len(c.Rules), c.ID, 0)
	if !found && c.Shift < len(c.Rules) || c.closing() > 1 && last > MaxPriority-reserve {
		return c, &fault.Fault{Code: fault.Invalid, Summary: "no room on the listener",
			Detail: fmt.Sprintf("Noren needs %d free priorities in front of every rule of port %d, and %d behind them (up to %d): the last rule has priority %d. Give the rules smaller numbers, at a calm time: their order stays as it is.", len(c.Rules), l.Port, reserve, MaxPriority, last),
			Try:    []string{"aws elbv2 set-rule-priorities --rule-priorities RuleArn=…,Priority=…"}}
	}
	return c, nil
}

// short is the last part of a rule's ARN, which no other rule of the listener has.
func short(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// Roomy tells whether the curtain fits in front without a shift.
func (c Curtain) Roomy(l Listener) bool {
	_, found := l.run(len(c.Rules), c.ID, 0)
	return found
}

// Spare is how many rules more than its own the curtain needs for a moment.
func (c Curtain) Spare() int {
	if c.closing() > 1 {
		return 1
	}
	return 0
}

func (c Curtain) closing() int {
	n := 0
	for _, r := range c.Rules {
		if r.Closes() {
			n++
		}
	}
	return n
}

// closes tells whether customers see the page by a rule.
func (c Curtain) closes(p Placed) bool {
	return p.Own.N >= 0 && p.Own.N < len(c.Rules) && c.Rules[p.Own.N].Closes()
}

// shift is by how much the user's rules are shifted now.
func (l Listener) shift() int {
	by := 0
	for _, p := range l.Rules {
		if p.Own != nil && p.Priority < parking {
			by = max(by, p.Own.Shift)
		}
	}
	return by
}

// shiftedFor tells whether a curtain other than id needs the shift.
func (l Listener) shiftedFor(id string) bool {
	return slices.ContainsFunc(l.Rules, func(p Placed) bool {
		return p.Own != nil && p.Own.ID != id && p.Priority < parking && p.Own.Shift > 0
	})
}

// run finds n free priorities in a row in front of the user's rules, were these
// shifted by more. Rules of the curtain id do not count: they move.
func (l Listener) run(n int, id string, more int) (first int, found bool) {
	end := parking
	taken := map[int]bool{}
	for _, p := range l.Rules {
		switch {
		case p.Own == nil:
			end = min(end, p.Priority+more)
		case p.Own.ID != id:
			taken[p.Priority] = true
		}
	}
	for at, free := 1, 0; at < end; at++ {
		if free++; taken[at] {
			free = 0
		}
		if free == n {
			return at - n + 1, true
		}
	}
	return 0, n == 0
}

// back is the lowest priority behind every rule.
func (l Listener) back() int {
	last := parking
	for _, p := range l.Rules {
		last = max(last, p.Priority)
	}
	return last + 1
}

// A look is a listener seen from one curtain.
type look struct {
	Curtain
	l      Listener
	placed []Placed // in front
	parked []Placed
	shield *Placed
	have   map[int]bool
}

func (c Curtain) look(l Listener) look {
	k := look{Curtain: c, l: l, have: map[int]bool{}}
	for _, p := range l.Of(c.ID) {
		switch {
		case p.Own.N == Shield:
			k.shield = &p
			continue
		case p.Priority < parking:
			k.placed = append(k.placed, p)
		default:
			k.parked = append(k.parked, p)
		}
		k.have[p.Own.N] = true
	}
	return k
}

// InFront tells whether all rules of the curtain are in effect, in their order
// and before the rules that were there when the plan was made, and nothing of
// the work is left to do.
func (c Curtain) InFront(l Listener) bool {
	k := c.look(l)
	return k.shield == nil && len(k.parked) == 0 && k.inFront()
}

func (k look) inFront() bool {
	if len(k.placed) != len(k.Rules) {
		return false
	}
	last := 0
	for i, p := range k.placed {
		if p.Own.N != i || p.Priority <= last {
			return false
		}
		last = p.Priority
	}
	return !slices.ContainsFunc(k.l.Rules, func(p Placed) bool { _, known := k.Base[short(p.ARN)]; return known && p.Priority < last })
}

// Abandoned tells whether the user's rules are shifted though no rule of
// noren's is there any more: someone deleted them by hand.
func (c Curtain) Abandoned(l Listener) bool {
	if c.Shift == 0 || l.shift() > 0 || len(l.Of(c.ID)) > 0 {
		return false
	}
	known := 0
	for _, p := range l.Rules {
		if base, ok := c.Base[short(p.ARN)]; ok {
			if p.Priority != base+c.Shift {
				return false
			}
			known++
		}
	}
	return known > 0
}

// Up returns the next calls that bring the curtain to the front; none when it is
// there. After they are made, the listener is read anew.
func (c Curtain) Up(l Listener) ([]Step, error) {
	k := c.look(l)
	if k.inFront() && len(k.parked) == 0 {
		if k.shield != nil {
			return []Step{{Delete: k.shield.ARN}}, nil
		}
		return nil, nil
	}
	if k.closing() > 1 {
		return k.upAtOnce()
	}
	return k.upByOne()
}

// upByOne creates the one rule that closes last, at its place.
func (k look) upByOne() ([]Step, error) {
	first, ok := k.l.run(len(k.Rules), k.ID, 0)
	if ok && len(k.placed) > 0 {
		first = k.placed[0].Priority - k.placed[0].Own.N
		ok = k.fits(first)
	}
	if !ok || len(k.parked) > 0 {
		return k.make(func(n int) bool { return !k.Rules[n].Closes() })
	}
	shift := k.l.shift()
	var steps, closing []Step
	for n, r := range k.Rules {
		if k.have[n] {
			continue
		}
		s := Step{Create: &Create{Own: Own{ID: k.ID, N: n, Name: r.Name, Shift: shift}, Rule: r.Rule, Priority: first + n}}
		if r.Closes() {
			closing = append(closing, s)
			continue
		}
		steps = append(steps, s)
	}
	return append(steps, closing...), nil
}

// fits tells whether the curtain can be completed from where its first rules
// are.
func (k look) fits(first int) bool {
	if first < 1 {
		return false
	}
	for _, p := range k.placed {
		if p.Priority != first+p.Own.N {
			return false
		}
	}
	for _, p := range k.l.Rules {
		if p.Own != nil && p.Own.ID == k.ID {
			continue
		}
		if p.Priority >= first && p.Priority < first+len(k.Rules) {
			return false
		}
		if _, known := k.Base[short(p.ARN)]; known && p.Priority < first+len(k.Rules) {
			return false
		}
	}
	return true
}

// upAtOnce parks every rule behind a shield.
func (k look) upAtOnce() ([]Step, error) {
	missing := false
	for n, r := range k.Rules {
		missing = missing || r.Closes() && !k.have[n]
	}
	if missing && k.shield == nil && Copyable(k.l.Default) {
		return []Step{{Create: k.newShield()}}, nil
	}
	return k.make(func(int) bool { return true })
}

func (k look) newShield() *Create {
	return &Create{Own: Own{ID: k.ID, N: Shield, Name: "shield while rules are moved", Shift: 0},
		Rule: Rule{Conditions: some(nil), Actions: k.l.Default}, Priority: k.l.back()}
}

// make parks the rules that are chosen and missing, and then brings all to the
// front in one call.
func (k look) make(chosen func(n int) bool) ([]Step, error) {
	more, shift := 0, k.l.shift()
	first, found := k.l.run(len(k.Rules), k.ID, 0)
	if !found {
		if shift > 0 {
			return nil, k.noRoom()
		}
		more, shift = k.Shift, k.Shift
		if first, found = k.l.run(len(k.Rules), k.ID, more); !found {
			return nil, k.noRoom()
		}
	}
	var steps []Step
	for _, p := range k.parked {
		if p.Own.Shift != shift { // others have shifted since: it would say so wrongly
			steps = append(steps, Step{Delete: p.ARN})
		}
	}
	if len(steps) > 0 {
		return steps, nil
	}
	at := k.l.back()
	for n, r := range k.Rules {
		if !k.have[n] && chosen(n) {
			steps = append(steps, Step{Create: &Create{Own: Own{ID: k.ID, N: n, Name: r.Name, Shift: shift}, Rule: r.Rule, Priority: at}})
			at++
		}
	}
	if len(steps) > 0 {
		return steps, nil
	}
	var order []Place
	for _, p := range slices.Concat(k.placed, k.parked) {
		order = append(order, Place{p.ARN, first + p.Own.N})
	}
	if more > 0 {
		if len(order) == 0 {
			return nil, k.noRoom() // nothing would tell of the shift
		}
		for _, u := range k.l.Users() {
			if u.Priority+more > MaxPriority-reserve {
				return nil, k.noRoom()
			}
			order = append(order, Place{u.ARN, u.Priority + more})
		}
	}
	return []Step{{Order: order}}, nil
}

func (k look) noRoom() error {
	return &fault.Fault{Code: fault.Invalid, Summary: "no room on the listener",
		Detail: fmt.Sprintf("Noren needs %d free priorities in front of every rule of port %d, and rules that were not there when the plan was made leave no room for them.", len(k.Rules), k.l.Port)}
}

// Down returns the next calls that take the curtain away; none when nothing of
// it is left. After they are made, the listener is read anew.
func (c Curtain) Down(l Listener) ([]Step, error) {
	k := c.look(l)
	back := 0 // by how much the user's rules go back
	if by := l.shift(); by > 0 && !l.shiftedFor(c.ID) && len(k.placed) > 0 {
		back = by
	}
	if c.Abandoned(l) {
		back = c.Shift
	}
	closing, others := 0, 0
	var steps []Step
	for _, p := range k.placed {
		if c.closes(p) {
			closing++
			steps = append(steps, Step{Delete: p.ARN})
		} else {
			others++
		}
	}
	switch atOnce := closing > 1 || back > 0 && closing > 0 && others == 0; {
	case atOnce && k.shield == nil && Copyable(l.Default):
		return []Step{{Create: k.newShield()}}, nil
	case atOnce && k.shield != nil:
		return k.move(back)
	case closing > 0: // without a shield, one after the other
		return steps, nil
	case back > 0:
		return k.move(back)
	}
	// From the last on: the first of several copies of the user's rules do what
	// these do, the last alone would take what is another's.
	for _, p := range slices.Backward(slices.Concat(k.parked, k.placed)) {
		steps = append(steps, Step{Delete: p.ARN})
	}
	if len(steps) == 0 && k.shield != nil {
		steps = append(steps, Step{Delete: k.shield.ARN})
	}
	return steps, nil
}

// move parks what is in front, and gives the user's rules their own priorities
// back, in one call.
func (k look) move(back int) ([]Step, error) {
	var order []Place
	at := k.l.back()
	for _, p := range k.placed {
		order = append(order, Place{p.ARN, at})
		at++
	}
	if back > 0 {
		taken := map[int]Placed{}
		for _, p := range k.l.Rules {
			if p.Own == nil && p.Priority <= back || p.Own != nil && p.Own.ID != k.ID {
				taken[p.Priority] = p
			}
		}
		for _, u := range k.l.Users() {
			if u.Priority <= back {
				continue
			}
			if p, clash := taken[u.Priority-back]; clash {
				return nil, k.inTheWay(p, u, back)
			}
			order = append(order, Place{u.ARN, u.Priority - back})
		}
	}
	return []Step{{Order: order}}, nil
}

func (k look) inTheWay(p, u Placed, back int) error {
	return &fault.Fault{Code: fault.Drift, Summary: "a new rule is in the way",
		Detail: fmt.Sprintf("Someone put a rule at priority %d of port %d while noren had shifted the others by %d: rule %s goes back to that place.", p.Priority, k.l.Port, back, u.ARN),
		Try:    []string{fmt.Sprintf("aws elbv2 set-rule-priorities --rule-priorities RuleArn=%s,Priority=…   # %d or more: it comes back %d in front of that", p.ARN, back+1, back)}}
}

// Shown is the listener as it will be with the curtain in front, for who-sees.
// Priorities are as they are now.
func (c Curtain) Shown(l Listener) Listener {
	out := l
	out.Rules = nil
	for n, r := range c.Rules {
		out.Rules = append(out.Rules, Placed{Priority: n + 1, Rule: r.Rule, Own: &Own{ID: c.ID, N: n, Name: r.Name}})
	}
	for _, p := range l.Rules {
		if p.Own == nil || p.Own.ID != c.ID {
			out.Rules = append(out.Rules, p)
		}
	}
	return out
}
