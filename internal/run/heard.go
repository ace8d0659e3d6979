package run

// A Heard is how far a channel has told people of a run.
type Heard struct {
	// Upto is the number of the last event that it has told.
	Upto int64
	// Handle is what the channel kept, such as the id of the message that it
	// changes.
	Handle string
	// Begun is set once it was about to tell: it may have told more than Upto.
	Begun bool
	// Missed says why it did not tell in time, "" if it did.
	Missed string
}

// Channels of events: a channel began to tell, has told, or did not in time.
const (
	Telling Type = "channel.telling"
	Told    Type = "channel.told"
	Missed  Type = "channel.missed"
)

// ofChannels tells whether an event is about a channel, which may come after the
// end of a run.
func (t Type) ofChannels() bool { return t == Telling || t == Told || t == Missed }

func (r *Run) heard(e Event) {
	h := r.Heard[e.Data.Channel]
	h.Begun = true
	switch e.Type {
	case Told:
		h.Upto, h.Handle, h.Missed = e.Data.Upto, e.Data.Handle, ""
	case Missed:
		h.Missed = e.Data.Text
	}
	if r.Heard == nil {
		r.Heard = map[string]Heard{}
	}
	r.Heard[e.Data.Channel] = h
}
