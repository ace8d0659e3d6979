package action

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A Mark is the trace left on a changed target itself, from which the change
// can be undone when noren's own database is lost: it carries everything that
// is needed to open the action again, and the receipt. It holds no secret
// beyond those that the target itself holds.
type Mark struct {
	Receipt Receipt         `json:"receipt"`
	Params  json.RawMessage `json:"params,omitempty"`
	// Actor is the person who asked for the run, as "user@host".
	Actor string `json:"actor,omitempty"`
	// Origin tells of the run that the step belongs to, in the words of package
	// plan; to drivers it is opaque. Marks of an older noren have none: from
	// them the target is restored, and nothing else is known.
	Origin json.RawMessage `json:"origin,omitempty"`
	// Sum is over everything else in the mark, so that one that was edited by
	// hand is not taken for the truth. It guards against slips, not against
	// malice. Marks of an older noren have none.
	Sum string `json:"sum,omitempty"`
}

// Sealed returns the mark with its Sum.
func (m Mark) Sealed() (Mark, error) {
	var err error
	m.Sum, err = m.sum()
	return m, err
}

func (m Mark) sum() (string, error) {
	m.Sum = ""
	raw, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("mark: %w", err)
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:16]), nil
}

// Check returns why the mark cannot be relied on, nil if it can.
func (m Mark) Check() error {
	if m.Sum != "" {
		if sum, err := m.sum(); err != nil || sum != m.Sum {
			return errors.New("it was changed by hand since noren wrote it")
		}
	}
	for _, part := range []struct{ name, value string }{
		{"run", m.Receipt.Run}, {"step", m.Receipt.Step}, {"action", m.Receipt.Action}, {"target", m.Receipt.Target},
	} {
		if part.value == "" {
			return fmt.Errorf("its receipt names no %s", part.name)
		}
	}
	return nil
}

// A mark is written as JSON, which a person can read on the object; above
// compressAbove bytes as packedPrefix and the JSON, compressed, in base64.
const (
	compressAbove = 16 << 10
	packedPrefix  = "noren/1+gzip:"
	// mostUnpacked bounds what a text of a few bytes may unpack to.
	mostUnpacked = 64 << 20
)

// Text is the mark as it is written where only text fits.
func (m Mark) Text() (string, error) {
	plain, err := m.plain()
	if err != nil || len(plain) > compressAbove {
		return pack(plain, err)
	}
	return strings.TrimSpace(string(plain)), nil
}

// Packed is the shorter form of Text, for where people would stumble over JSON or
// there is little room.
func (m Mark) Packed() (string, error) { return pack(m.plain()) }

func (m Mark) plain() ([]byte, error) {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	return plain.Bytes(), nil
}

func pack(plain []byte, err error) (string, error) {
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(plain)
	if err := errors.Join(err, w.Close()); err != nil {
		return "", fmt.Errorf("mark: %w", err)
	}
	return packedPrefix + base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

// ParseMark reads either form of Text. With an error that says why the mark
// cannot be relied on, it returns as much of it as could be read.
func ParseMark(text string) (Mark, error) {
	raw := []byte(text)
	if packed, ok := strings.CutPrefix(text, packedPrefix); ok {
		var err error
		if raw, err = unpack(packed); err != nil {
			return Mark{}, fmt.Errorf("it is broken off or changed: %w", err)
		}
	}
	var m Mark
	if err := json.Unmarshal(raw, &m); err != nil {
		return Mark{}, fmt.Errorf("it is broken off or changed: %w", err)
	}
	return m, m.Check()
}

func unpack(packed string) ([]byte, error) {
	r, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(r, mostUnpacked))
	return raw, errors.Join(err, r.Close())
}
