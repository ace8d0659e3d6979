package awsclient

import (
	"context"
	"strings"
)

// Slot keeps the mark of one change apart where several changes leave theirs on
// the same thing: its tags have the slot's name in their keys.
func Slot(t Tagger, name string) Tagger { return slotted{t, "noren:" + name + ":"} }

// MarkTagsIn are the tags of a slot's mark, as [MarkIn] reads them.
func MarkTagsIn(slot string, tags map[string]string) map[string]string {
	return slotted{nil, "noren:" + slot + ":"}.inside(tags)
}

const outside = "beside:"

type slotted struct {
	Tagger
	prefix string // "noren:suspend:"
}

// inside shows the slot's tags under the names of a mark's, and those of other
// marks as tags like any other.
func (s slotted) inside(tags map[string]string) map[string]string {
	all := map[string]string{}
	for k, v := range tags {
		switch rest, mine := strings.CutPrefix(k, s.prefix); {
		case mine:
			all["noren:"+rest] = v
		case IsMark(k):
			all[outside+k] = v
		default:
			all[k] = v
		}
	}
	return all
}

func (s slotted) key(k string) string { return s.prefix + strings.TrimPrefix(k, "noren:") }

func (s slotted) Tags(ctx context.Context) (map[string]string, error) {
	tags, err := s.Tagger.Tags(ctx)
	if err != nil {
		return nil, err
	}
	return s.inside(tags), nil
}

func (s slotted) Tag(ctx context.Context, tags map[string]string) error {
	all := make(map[string]string, len(tags))
	for k, v := range tags {
		all[s.key(k)] = v
	}
	return s.Tagger.Tag(ctx, all)
}

func (s slotted) Untag(ctx context.Context, keys []string) error {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = s.key(k)
	}
	return s.Tagger.Untag(ctx, all)
}
