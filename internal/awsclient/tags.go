package awsclient

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// A mark is kept in tags: packed, in as many values as it takes. The first also
// says, for people, which run it is of.
//
// Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
// (50 tags, keys of 128 characters, values of 256: letters, digits, spaces and + - = . _ : / @).
const (
	// MostTags is how many tags a thing may have, those of aws: not counted.
	MostTags = 50
	tagValue = 256
	// TagRun names the run that a mark is of; markPrefix and a number are the
	// parts of the mark.
	TagRun     = "noren:run"
	markPrefix = "noren:mark:"
	// mostUnpacked bounds what tags may unpack to, in bytes.
	mostUnpacked = 1 << 20
)

// Tags are the tags that carry m.
func Tags(m action.Mark) (map[string]string, error) {
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	_, err = w.Write(plain)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(packed.Bytes())
	tags := map[string]string{TagRun: m.Receipt.Run}
	i := 0
	for part := range slices.Chunk([]byte(text), tagValue) {
		tags[fmt.Sprintf("%s%02d", markPrefix, i)] = string(part)
		i++
	}
	return tags, nil
}

// IsMark tells whether a tag is of a mark.
func IsMark(key string) bool { return key == TagRun || strings.HasPrefix(key, markPrefix) }

// MarkKeys are the keys among tags that are of a mark, sorted.
func MarkKeys(tags map[string]string) []string {
	var keys []string
	for key := range tags {
		if IsMark(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// MarkIn reads the mark in tags of the thing named. ok tells whether there is one.
func MarkIn(on string, tags map[string]string) (found driver.FoundMark, ok bool) {
	if len(MarkKeys(tags)) == 0 {
		return driver.FoundMark{}, false
	}
	found.On = on
	m, err := unpack(tags)
	found.Mark = m
	if err != nil {
		found.Wrong = err.Error()
		if found.Mark.Receipt.Run == "" {
			found.Mark.Receipt.Run = tags[TagRun]
		}
	}
	return found, true
}

func unpack(tags map[string]string) (action.Mark, error) {
	var text strings.Builder
	parts := 0
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		number, isPart := strings.CutPrefix(key, markPrefix)
		if !isPart {
			continue
		}
		if n, err := strconv.Atoi(number); err != nil || n != parts {
			return action.Mark{}, errors.New("one of its tags is missing")
		}
		parts++
		text.WriteString(tags[key])
	}
	packed, err := base64.StdEncoding.DecodeString(text.String())
	if err != nil || parts == 0 {
		return action.Mark{}, errors.New("it is broken off or changed")
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), mostUnpacked))
	if err != nil {
		return action.Mark{}, fmt.Errorf("it is broken off or changed: %w", err)
	}
	return action.ParseMark(string(plain))
}

// Fits fails if a thing that has these tags cannot carry so many marks like m
// beside them. A mark that is there already makes room.
func Fits(on string, have map[string]string, m action.Mark, marks int) error {
	tags, err := Tags(m)
	if err != nil {
		return err
	}
	others := 0
	for key := range have {
		if !IsMark(key) && !strings.HasPrefix(key, "aws:") {
			others++
		}
	}
	if need := marks * len(tags); others+need > MostTags {
		return tooManyTags(on, others, need)
	}
	return nil
}

func tooManyTags(on string, others, need int) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "no room for noren's tags",
		Detail: fmt.Sprintf("%s has %d tags, and AWS allows %d: %d are needed to note on it how it was. Nothing was touched.", on, others, MostTags, need),
		Try:    []string{fmt.Sprintf("take %d tags away from %s", others+need-MostTags, on)}}
}
