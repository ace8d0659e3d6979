package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// OriginVersion is the version of Origin that this noren writes, and the
// newest that it reads.
const OriginVersion = 1

// An Origin is what a mark tells of the closing that left it: enough to
// rebuild, from marks alone, a run that can be opened, proved and checked like
// any other. It holds no secret; the pass of a closing is not in it.
type Origin struct {
	Version     int    `json:"version"`
	Environment string `json:"environment"`
	// Service is that of the step, with the entrance or the workload that the
	// step is about; for a pause, with all of them.
	Service Service   `json:"service"`
	Stage   StageName `json:"stage"`
	// Order is the step's place among all of the plan.
	Order    int           `json:"order"`
	Track    string        `json:"track"`
	Cluster  string        `json:"cluster,omitempty"`
	Title    string        `json:"title"`
	Patience time.Duration `json:"patience,omitempty"`
	Until    time.Time     `json:"until,omitzero"`
	Zone     string        `json:"zone"`
	Reason   string        `json:"reason,omitempty"`
	// Moves is how many extensions had been made: of two marks of one closing
	// with different ends, the one with more tells the newer.
	Moves int `json:"moves,omitempty"`
	// Changes is how many changes of the closing closed and brought to rest what
	// is the service's, each of which leaves a mark. Those of an older noren do
	// not say.
	Changes int `json:"changes,omitempty"`
	// Page is the mark in the closing's pages.
	Page string `json:"page"`
}

// MarkOf returns the mark that a step of the closing p leaves with its receipt.
func MarkOf(p *Plan, r action.Receipt, params json.RawMessage, actor string) (action.Mark, error) {
	m := action.Mark{Receipt: r, Params: params, Actor: actor}
	if o, ok := p.origin(r.Step); ok {
		raw, err := json.Marshal(o)
		if err != nil {
			return m, fmt.Errorf("mark of %s: %w", r.Target, err)
		}
		m.Origin = raw
	}
	return m.Sealed()
}

func (p *Plan) origin(id string) (Origin, bool) {
	order := 0
	for _, stage := range p.Stages {
		for _, s := range stage.Steps {
			if s.ID == id {
				return Origin{Version: OriginVersion, Environment: p.Environment.Name, Service: p.serviceOf(s), Stage: stage.Name,
					Order: order, Track: s.Track, Cluster: s.Cluster, Title: s.Title, Patience: s.Patience, Until: p.Until, Zone: p.Zone, Reason: p.Reason, Moves: p.Moves, Changes: p.changes(s.Service), Page: p.Mark}, true
			}
			order++
		}
	}
	return Origin{}, false
}

// changes are how many of the plan's close a service or bring its workloads to
// rest.
func (p *Plan) changes(service string) int {
	n := 0
	for _, stage := range p.Stages {
		for _, s := range stage.Steps {
			if counted(stage.Name) && s.Service == service && s.Kind == action.KindChange && !s.From.Equal(s.To) {
				n++
			}
		}
	}
	return n
}

// counted are the stages in which each change of a service is needed for it to be
// closed.
func counted(stage StageName) bool { return stage == StageClose || stage == StageRest }

// serviceOf is the service of a step, with the entrance that is the step's
// track, or all of them where it is none's.
func (p *Plan) serviceOf(s Step) Service {
	i := slices.IndexFunc(p.Services, func(have Service) bool { return have.Name == s.Service })
	if i < 0 {
		return Service{Name: s.Service}
	}
	mine := p.Services[i]
	if one := slices.IndexFunc(mine.Entrances, func(e Entrance) bool { return e.Target == s.Track }); one >= 0 {
		mine.Entrances, mine.Workloads = mine.Entrances[one:one+1], nil
	}
	if one := slices.IndexFunc(mine.Workloads, func(w Workload) bool { return w.Target == s.Track }); one >= 0 {
		mine.Entrances, mine.Workloads = nil, mine.Workloads[one:one+1]
	}
	mine.Entrances = slices.Clone(mine.Entrances)
	for i := range mine.Entrances {
		mine.Entrances[i].Why = "" // for the plan's reader, who has read it
	}
	return mine
}

// OriginOf reads what a mark tells of its closing; nil if it tells nothing, as
// those of an older noren.
func OriginOf(m action.Mark) (*Origin, error) {
	if len(m.Origin) == 0 {
		return nil, nil
	}
	var o Origin
	if err := json.Unmarshal(m.Origin, &o); err != nil {
		return nil, fmt.Errorf("mark of run %s: origin: %w", m.Receipt.Run, err)
	}
	if o.Version > OriginVersion {
		return nil, fmt.Errorf("mark of run %s: its origin has version %d; this noren knows up to %d: use the noren that wrote it, or a newer one", m.Receipt.Run, o.Version, OriginVersion)
	}
	return &o, nil
}

// Pauses returns the pause of an action's name, and whether it is one.
type Pauses func(name string) (driver.Pause, bool)

// Rebuild returns the closing that left the marks, as far as they tell, with
// its receipts: opening it takes back exactly what is marked. The marks are of
// one run, and each can be relied on. pauses tells the pause of an
// action\'s name, and whether it is one, for marks of an older noren.
func Rebuild(env Environment, marks []action.Mark, pauses Pauses) (*Plan, []action.Receipt, error) {
	p := &Plan{Version: Version, Kind: Close, Environment: env, Zone: time.UTC.String(), OnFailure: Undo}
	all, err := tales(marks, pauses)
	if err != nil {
		return nil, nil, err
	}
	var receipts []action.Receipt
	marked, changes := map[string]int{}, map[string]int{}
	for _, t := range all {
		service := t.origin.Service.Name
		changes[service] = max(changes[service], t.origin.Changes)
		if counted(t.origin.Stage) {
			marked[service]++
		}
	}
	for _, name := range marking {
		stage := Stage{Name: name}
		for _, t := range all {
			if t.origin.Stage != name {
				continue
			}
			step := p.rebuild(t.mark, t.origin)
			stage.Steps, receipts = append(stage.Steps, step), append(receipts, t.mark.Receipt)
			if name == StagePause {
				p.lock(step.Target) // as a closing does: no other may rely on this pause
			}
		}
		if len(stage.Steps) > 0 {
			p.Stages = append(p.Stages, stage)
		}
	}
	for i, s := range p.Services {
		p.Services[i].Missing = max(0, changes[s.Name]-marked[s.Name])
	}
	return p, receipts, nil
}

// marking are the stages of a closing whose steps leave marks, in order.
var marking = [...]StageName{StageMute, StagePause, StageTell, StageClose, StageRest}

// A tale is a mark and what it tells.
type tale struct {
	mark   action.Mark
	origin *Origin
}

// tales reads the marks, in the order of the plan that left them.
func tales(marks []action.Mark, pauses Pauses) ([]tale, error) {
	all := make([]tale, len(marks))
	for i, m := range marks {
		o, err := OriginOf(m)
		if err != nil {
			return nil, err
		}
		if o == nil {
			o = originless(m.Receipt, pauses)
		}
		if !slices.Contains(marking[:], o.Stage) {
			return nil, fmt.Errorf("mark of run %s: there is no stage %q in which a closing leaves marks: use the noren that wrote it, or a newer one", m.Receipt.Run, o.Stage)
		}
		all[i] = tale{m, o}
	}
	slices.SortFunc(all, func(a, b tale) int {
		return cmp.Or(cmp.Compare(a.origin.Order, b.origin.Order), cmp.Compare(a.mark.Receipt.Step, b.mark.Receipt.Step))
	})
	return all, nil
}

// originless stands in for the origin of a mark that tells none: the target is
// the service and the entrance.
func originless(r action.Receipt, pauses Pauses) *Origin {
	o := &Origin{Stage: StageClose, Track: r.Target, Title: "Close " + r.Target,
		Service: Service{Name: r.Target, Entrances: []Entrance{{Name: r.Target, Target: r.Target}}}}
	if p, ok := pauses(r.Action); ok {
		o.Stage, o.Title = StagePause, p.Title+" "+r.Target
	}
	return o
}

// rebuild files what one mark tells, and returns its step.
func (p *Plan) rebuild(m action.Mark, o *Origin) Step {
	if o.Zone != "" && o.Moves >= p.Moves {
		p.Until, p.Zone, p.Reason, p.Mark, p.Moves = o.Until, o.Zone, o.Reason, o.Page, o.Moves
	}
	p.addService(o.Service)
	r := m.Receipt
	return Step{ID: r.Step, Track: o.Track, Kind: action.KindChange, Action: r.Action, Target: r.Target, Cluster: o.Cluster,
		Service: o.Service.Name, Title: o.Title, Params: m.Params, From: r.From, To: r.To, Patience: o.Patience}
}

func (p *Plan) addService(s Service) {
	i := slices.IndexFunc(p.Services, func(have Service) bool { return have.Name == s.Name })
	if i < 0 {
		i = len(p.Services)
		fresh := s
		fresh.Entrances, fresh.Workloads = nil, nil
		p.Services = append(p.Services, fresh)
	}
	for _, e := range s.Entrances {
		p.lock(e.Target)
		if !slices.ContainsFunc(p.Services[i].Entrances, func(have Entrance) bool { return have.Target == e.Target }) {
			p.Services[i].Entrances = append(p.Services[i].Entrances, e)
		}
	}
	for _, w := range s.Workloads {
		p.lock(w.Target)
		if !slices.Contains(p.Services[i].Workloads, w) {
			p.Services[i].Workloads = append(p.Services[i].Workloads, w)
		}
	}
}

func (p *Plan) lock(target string) {
	if !slices.Contains(p.Locks, target) {
		p.Locks = append(p.Locks, target)
	}
}
