package events

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
)

// A schedule has no tags, so that its mark stands at the end of its description,
// as a note in brackets that says, for people, which run it is of:
//
//	nightly sums [noren close-0102-abcd: 1.xVVNb9s…]
//
// mostDescription is how many characters a description may have. Source:
// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
const (
	mostDescription = 512
	// mostNote bounds what a note may unpack to, in bytes.
	mostNote = 64 << 10
	// noteVersion is of the words below, which no note can be read without: never
	// change them, but add others under another version.
	noteVersion = "1."
)

// words are those that most marks of schedules have in common, the rarer ones
// first: packed with them, a mark takes about a third of the room.
const words = `"health":["https://"],"mode":"writes","paths":["/"],"team":"storefront","owner":"argocd:","cluster":"tokyo","moves":1,` +
	`"reason":"","zone":"UTC","zone":"Asia/Tokyo","production","staging","monthly","nightly","hourly","default","root@` +
	`{"receipt":{"run":"close-","step":"rest-","action":"aws/schedule.disable","target":"aws:prod/schedule/default/` +
	`","from":{"version":1,"fields":{"state":"ENABLED"}},"to":{"version":1,"fields":{"state":"DISABLED"}},"takenAt":"2026-` +
	`Z"},"params":{"group":"default","name":"` +
	`"},"actor":"` +
	`","origin":{"version":1,"environment":"prod","service":{"name":"` +
	`","entrances":null,"workloads":[{"kind":"aws/schedule","name":"` +
	`","target":"aws:prod/schedule/default/` +
	`"}]},"stage":"rest","order":1,"track":"aws:prod/schedule/default/` +
	`","title":"Bring to rest aws:prod/schedule/default/` +
	`","patience":900000000000,"until":"2026-` +
	`+09:00","zone":"Asia/Tokyo","changes":1,"page":"z` +
	`"},"sum":"sha256:`

// notes match a note, also one that was broken off, and the space before it.
var notes = regexp.MustCompile(`( ?)\[noren ([\w-]+): ([^\]]*)(\]|$)`)

// A described is the description of a schedule: what people wrote, nil if they
// wrote none, and the mark beside it.
type described struct {
	text *string
	// run is that of the mark, "" for none; packed is the mark itself.
	run, packed string
}

func parseDescription(description *string) described {
	text := aws.ToString(description)
	all := notes.FindAllStringSubmatchIndex(text, -1)
	if all == nil {
		return described{text: description}
	}
	at := all[len(all)-1]
	d := described{run: text[at[4]:at[5]], packed: text[at[6]:at[7]]}
	if before, after := text[:at[0]], text[at[1]:]; before != "" || after != "" || at[3] > at[2] { // a space alone: they wrote ""
		d.text = aws.String(before + after)
	}
	return d
}

// join is the description as it is written, nil for none.
func (d described) join() *string {
	if d.run == "" {
		return d.text
	}
	note := fmt.Sprintf("[noren %s: %s]", d.run, d.packed)
	if d.text == nil {
		return &note
	}
	return aws.String(*d.text + " " + note)
}

// marked is the description with a mark in the place of the one that it has.
func (d described) marked(m action.Mark) (described, error) {
	plain, err := json.Marshal(m)
	if err != nil {
		return d, fmt.Errorf("mark: %w", err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriterDict(&packed, flate.BestCompression, []byte(words))
	if err != nil {
		return d, fmt.Errorf("mark: %w", err)
	}
	_, err = w.Write(plain)
	if err := errors.Join(err, w.Close()); err != nil {
		return d, fmt.Errorf("mark: %w", err)
	}
	return described{d.text, m.Receipt.Run, noteVersion + base64.StdEncoding.EncodeToString(packed.Bytes())}, nil
}

// mark reads the mark. ok tells whether there is one; with an error, what is known
// of it is its run.
func (d described) mark() (m action.Mark, ok bool, err error) {
	if d.run == "" {
		return action.Mark{}, false, nil
	}
	m.Receipt.Run = d.run
	text, current := strings.CutPrefix(d.packed, noteVersion)
	packed, err := base64.StdEncoding.DecodeString(text)
	if !current || err != nil {
		return m, true, errors.New("it is broken off or changed, or of a newer noren")
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(packed), []byte(words)), mostNote))
	if err != nil {
		return m, true, fmt.Errorf("it is broken off or changed: %w", err)
	}
	read, err := action.ParseMark(string(plain))
	if read.Receipt.Run == "" {
		read.Receipt.Run = d.run
	}
	return read, true, err
}

// tags are those that would carry the mark.
func (d described) tags() (map[string]string, error) {
	m, ok, err := d.mark()
	switch {
	case !ok:
		return nil, nil
	case err != nil: // as tags of which the others are lost
		return map[string]string{awsclient.TagRun: m.Receipt.Run}, nil //nolint:nilerr // reading them tells what is wrong
	}
	return awsclient.Tags(m)
}

// tagged is the description with the mark that tags carry beside those that it
// has; or without one, if any of its tags is to go.
func (d described) tagged(add map[string]string, drop []string) (described, error) {
	if len(drop) > 0 {
		return described{text: d.text}, nil
	}
	if len(add) == 0 {
		return d, nil
	}
	all, err := d.tags()
	if err != nil {
		return d, err
	}
	all = maps.Clone(all)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, add)
	found, _ := awsclient.MarkIn("", all)
	if found.Wrong != "" {
		return d, fmt.Errorf("mark: %s", found.Wrong)
	}
	return d.marked(found.Mark)
}
