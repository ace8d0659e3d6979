package live

import tea "charm.land/bubbletea/v2"

// Shrinkable keeps a program from drawing into a window of no size, as one gets
// whose pane was folded away: it goes on in the size it had.
func Shrinkable() tea.ProgramOption {
	return tea.WithFilter(func(_ tea.Model, msg tea.Msg) tea.Msg {
		if size, ok := msg.(tea.WindowSizeMsg); ok && (size.Width < 2 || size.Height < 2) {
			return nil
		}
		return msg
	})
}
