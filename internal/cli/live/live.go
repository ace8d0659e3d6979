// Package live shows a run on a terminal while it happens, and asks the person
// what to do when the run waits or Ctrl-C is pressed.
package live

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A Terminal is where the run is shown.
type Terminal struct {
	In  io.Reader
	Out io.Writer
	Now func() time.Time
	// Interrupts come from outside the terminal's keys, such as SIGTERM: each is
	// as Ctrl-C. Hangups say that the terminal is gone.
	Interrupts, Hangups <-chan os.Signal
	// Rings are what rings meanwhile, a line each, whenever that changes.
	Rings <-chan []string
	// Line is told what happens after the terminal has gone: somebody may have
	// sent the hangup by hand, and sit there still.
	Line func(run.Event, *run.Run)
	// Waits says that a run which fails after the terminal has gone waits for
	// a person elsewhere. Otherwise it goes back, as without anybody to ask.
	Waits bool
}

// A Source tells of a run and takes signals for it.
type Source interface {
	Follow(ctx context.Context, id string, tell func(run.Event, *run.Run)) (*run.Run, error)
	Signal(ctx context.Context, id string, s run.Signal) error
}

// Run shows the run until it ends or the person leaves. When the terminal goes
// it follows the run to its end without one: see absence.
func Run(ctx context.Context, t Terminal, id string, src Source) (*run.Run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signal := func(s run.Signal) error { return src.Signal(ctx, id, s) }
	away := &absence{goBack: func() {
		if err := signal(run.SignalUndo); err != nil {
			cancel(err)
		}
	}, waits: t.Waits}
	m := &model{now: t.Now, id: id, signal: func(s run.Signal) error {
		away.answered()
		return signal(s)
	}}
	var program *tea.Program
	gone := func() {
		away.begin()
		go program.Quit()
	}
	program = tea.NewProgram(m, tea.WithInput(t.In), tea.WithOutput(watched(t.Out, gone)), tea.WithContext(ctx), tea.WithoutSignalHandler(), Shrinkable())
	go forward(ctx, t, program, gone)
	var last ended
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		r, err := src.Follow(ctx, id, func(e run.Event, r *run.Run) {
			if away.heard(e, r) {
				t.Line(e, r)
			}
			program.Send(snapshot(r))
		})
		last = ended{r, err}
		program.Send(last)
	}()
	_, broken := program.Run()
	if m.left {
		cancel(nil)
		<-followed
		return nil, &fault.Fault{Code: fault.Interrupted, Summary: "left in the middle of a run",
			Detail: fmt.Sprintf("Run %s has not ended.", id), Left: "as far as the run has come; it stays recorded",
			Try: []string{"noren resume " + id, "noren undo " + id}}
	}
	if broken != nil {
		away.begin() // what cannot be drawn is followed all the same
	}
	<-followed
	if cause := context.Cause(ctx); cause != nil {
		return last.run, cause
	}
	return last.run, last.err
}

// forward brings the signals that the process gets to the program.
func forward(ctx context.Context, t Terminal, program *tea.Program, gone func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.Interrupts:
			program.Send(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
		case <-t.Hangups:
			gone()
		case lines := <-t.Rings:
			program.Send(ringing(lines))
		}
	}
}

type (
	// updated carries a copy of the run: the follower goes on folding its own.
	updated struct{ run *run.Run }
	ended   struct {
		run *run.Run
		err error
	}
	beat    time.Time
	ringing []string
)

func snapshot(r *run.Run) updated {
	c := *r
	c.Steps = make(map[string]*run.Step, len(r.Steps))
	for id, s := range r.Steps {
		step := *s
		c.Steps[id] = &step
	}
	return updated{&c}
}

type model struct {
	now    func() time.Time
	id     string
	run    *run.Run
	asking bool
	said   string
	left   bool
	rings  []string
	height int
	tick   int
	signal func(run.Signal) error
}

// beatEvery is how often the clock and the moving dot are drawn anew.
const beatEvery = 120 * time.Millisecond

func heartbeat() tea.Cmd {
	return tea.Tick(beatEvery, func(t time.Time) tea.Msg { return beat(t) })
}

// Init starts the clock.
func (m *model) Init() tea.Cmd { return heartbeat() }

// Update takes news of the run and keys of the person.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case updated:
		m.run = msg.run
	case ended:
		if msg.run != nil {
			m.run = msg.run
		}
		m.asking = false
		return m, tea.Quit
	case tea.WindowSizeMsg:
		m.height = msg.Height
	case ringing:
		m.rings = msg
	case beat:
		m.tick++
		return m, heartbeat()
	case tea.KeyPressMsg:
		return m.key(msg.String())
	}
	return m, nil
}

func (m *model) key(k string) (tea.Model, tea.Cmd) {
	if k == "ctrl+c" {
		if m.asking {
			m.left = true
			return m, tea.Quit
		}
		m.asking = true
		return m, nil
	}
	for _, c := range m.choices() {
		if c.key == k {
			m.asking = false
			if c.signal == "" {
				return m, nil
			}
			if err := m.signal(c.signal); err != nil {
				m.said = err.Error()
				return m, nil
			}
			m.said = "asked for: " + c.text
		}
	}
	return m, nil
}

type choice struct {
	key    string
	text   string
	signal run.Signal
}

// choices are what the person can say now.
func (m *model) choices() []choice {
	back := choice{"b", "go back: put everything as it was", run.SignalUndo}
	stop := choice{"s", "stop here: leave things as they are", run.SignalStop}
	switch {
	case m.run != nil && m.run.Status == run.Waiting:
		return []choice{{"r", "retry", run.SignalRetry}, {"k", "skip what failed and go on", run.SignalSkip}, back, stop}
	case m.asking:
		return []choice{back, stop, {"c", "carry on", ""}}
	}
	return nil
}

var (
	bold   = lipgloss.NewStyle().Bold(true).Render
	faint  = lipgloss.NewStyle().Faint(true).Render
	green  = lipgloss.NewStyle().Foreground(lipgloss.Green).Render
	red    = lipgloss.NewStyle().Foreground(lipgloss.Red).Render
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Yellow).Render
	cyan   = lipgloss.NewStyle().Foreground(lipgloss.Cyan).Render
)

// View draws the stages and what matters in each: all steps while they are
// few, else the count and those under way or in trouble.
func (m *model) View() tea.View {
	if m.run == nil {
		return tea.NewView(faint("starting run " + m.id))
	}
	var b strings.Builder
	r := m.run
	verb := map[plan.Kind]string{plan.Close: "Closing", plan.Extend: "Extending", plan.Open: "Opening"}[r.Plan.Kind]
	fmt.Fprintf(&b, "%s in %s  %s  %s\n\n", bold(verb), bold(r.Plan.Environment.Name), faint(r.ID), faint(m.elapsed()))
	room := max(4, m.height-8-2*len(r.Plan.Stages))
	for _, stage := range r.Plan.Stages {
		m.stage(&b, stage, room)
	}
	if r.Stage == plan.StageReturn {
		m.stage(&b, plan.Stage{Name: r.Stage, Steps: m.begun(r.Plan.Return)}, room)
	}
	for _, line := range m.rings {
		fmt.Fprintf(&b, "%s\n", red(line))
	}
	if cs := m.choices(); len(cs) > 0 {
		question := "Stop?"
		if r.Status == run.Waiting {
			question = "A step failed. What now?"
		}
		fmt.Fprintf(&b, "\n%s\n", yellow(question))
		for _, c := range cs {
			fmt.Fprintf(&b, "  %s  %s\n", bold(c.key), c.text)
		}
	} else if m.said != "" {
		fmt.Fprintf(&b, "\n%s\n", yellow(m.said))
	} else if !r.Status.Ended() {
		fmt.Fprintf(&b, "\n%s\n", faint("Ctrl-C to stop or go back"))
	}
	return tea.NewView(b.String())
}

// begun are the steps that were begun: of a return, those of what was taken back.
func (m *model) begun(steps []plan.Step) []plan.Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool { return m.run.Steps[s.ID].Status == run.StepPending })
}

func (m *model) elapsed() string {
	if m.run.Started.IsZero() {
		return ""
	}
	end := m.run.Ended
	if end.IsZero() {
		end = m.now()
	}
	return fmt.Sprintf("%.1f s", end.Sub(m.run.Started).Seconds())
}

func (m *model) stage(b *strings.Builder, stage plan.Stage, room int) {
	done := 0
	for _, s := range stage.Steps {
		if st := m.run.Steps[s.ID]; st.Status == run.StepIsDone || st.Status == run.StepIsUndone {
			done++
		}
	}
	fmt.Fprintf(b, "%s %s\n", bold(string(stage.Name)), faint(fmt.Sprintf("%d/%d", done, len(stage.Steps))))
	shown := 0
	for _, s := range stage.Steps {
		st := m.run.Steps[s.ID]
		quiet := st.Status == run.StepPending || st.Status == run.StepIsDone
		if len(stage.Steps) > room && quiet {
			continue
		}
		if shown++; shown > room {
			continue
		}
		fmt.Fprintf(b, "  %s %s\n", m.symbol(st.Status), s.Title)
		for _, line := range details(st) {
			fmt.Fprintf(b, "      %s\n", faint(line))
		}
	}
	if hidden := shown - room; hidden > 0 {
		fmt.Fprintf(b, "  %s\n", faint(fmt.Sprintf("and %d more", hidden)))
	}
}

// detailLines bounds what one step says below its title.
const detailLines = 4

func details(s *run.Step) []string {
	var lines []string
	switch {
	case s.Problem != nil:
		lines = strings.Split(s.Problem.Summary+": "+s.Problem.Detail, "\n")
	case s.Status == run.StepIsWaiting && s.Verdict != nil:
		lines = append([]string{s.Verdict.Summary}, s.Verdict.Findings...)
	case s.Status == run.StepIsDone && s.Nothing:
		lines = []string{"already so"}
	case s.Status == run.StepIsDone && s.Verdict != nil:
		lines = s.Verdict.Findings // good all the same
	}
	if len(lines) > detailLines {
		lines = append(lines[:detailLines:detailLines], fmt.Sprintf("and %d more", len(lines)-detailLines))
	}
	return lines
}

var dots = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (m *model) symbol(s run.StepStatus) string {
	switch s {
	case run.StepIsRunning, run.StepIsWaiting:
		return cyan(dots[m.tick%len(dots)])
	case run.StepIsDone:
		return green("✓")
	case run.StepIsUndone:
		return green("↶")
	case run.StepHasFailed, run.StepIsStranded:
		return red("✗")
	case run.StepWasSkipped:
		return yellow("-")
	default:
		return faint("·")
	}
}
