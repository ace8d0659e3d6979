package actiontest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
)

func proposedIsWhatIsRead(s *subject) {
	again, err := s.target.Change.Propose(s.from)
	if err != nil || !again.Equal(s.to) {
		s.t.Fatalf("Propose gave %s the first time and %s the second (%v); it is deterministic", text(s.to), text(again), err)
	}
	from, to := stored(s.t, s.from), stored(s.t, s.to)
	if !from.Equal(s.from) || !to.Equal(s.to) {
		s.t.Fatalf("a state does not survive JSON:\n  %s\n  %s", text(from), text(to))
	}
	again, err = s.target.Change.Propose(from)
	if err != nil || !again.Equal(s.to) {
		s.t.Fatalf("Propose gave %s for a state that a database had kept, want %s (%v)", text(again), text(s.to), err)
	}
	if err := s.target.Change.Apply(s.ctx, from, to); err != nil {
		s.t.Fatalf("applying states that a database had kept: %v", err)
	}
	s.is(s.to, "applying states that a database had kept")
	if err := s.target.Change.Apply(s.ctx, to, from); err != nil {
		s.t.Fatalf("undoing with states that a database had kept: %v", err)
	}
	s.is(s.from, "undoing with states that a database had kept")
}

// stored returns s as a database may give it back: keys in another order.
func stored(t testing.TB, s action.State) action.State {
	t.Helper()
	if s.IsZero() {
		return s
	}
	dec := json.NewDecoder(bytes.NewReader(s.Fields))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("State.Fields is not JSON: %v", err)
	}
	if _, ok := v.(map[string]any); !ok {
		t.Fatalf("State.Fields is no JSON object: %s", s.Fields)
	}
	fields, err := json.Marshal(backwards{v})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(action.State{Version: s.Version, Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	var out action.State
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// backwards writes JSON with the keys of every object from last to first.
type backwards struct{ v any }

func (b backwards) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	separate := func(i int) {
		if i > 0 {
			out.WriteByte(',')
		}
	}
	put := func(v any) error {
		raw, err := json.Marshal(v)
		out.Write(raw)
		return err
	}
	switch v := b.v.(type) {
	case map[string]any:
		out.WriteByte('{')
		for i, k := range slices.Backward(slices.Sorted(maps.Keys(v))) {
			separate(len(v) - 1 - i)
			if err := put(k); err != nil {
				return nil, err
			}
			out.WriteByte(':')
			if err := put(backwards{v[k]}); err != nil {
				return nil, err
			}
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for i, e := range v {
			separate(i)
			if err := put(backwards{e}); err != nil {
				return nil, err
			}
		}
		out.WriteByte(']')
	default:
		return json.Marshal(v)
	}
	return out.Bytes(), nil
}

func (s *subject) newMark() action.Mark {
	return action.Mark{
		Receipt: action.Receipt{
			Run: "20260102-contract-suite", Step: "close-1", Action: "suite/change", Target: s.target.Name,
			From: s.from, To: s.to, TakenAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Params: json.RawMessage(`{"suite":true}`),
		Actor:  "suite@example",
	}
}
