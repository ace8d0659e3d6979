package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
)

type kubeConfig struct {
	Context string `json:"context" jsonschema:"required" jsonschema_description:"Context of the kubeconfig."`
	QPS     int    `json:"qps,omitempty"`
	Inner   struct {
		Wait string `json:"wait"`
	} `json:"inner,omitzero"`
}

func TestSectionFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ section, want string }{
		"unknown":       {"{contxt: a}", "3:30 unknown key \"contxt\" is not a key here. Did you mean \"context\"? Its keys are: context, qps, inner."},
		"wrong type":    {"{context: a, qps: fast}", "3:42 value of the wrong type \"qps\" must be a whole number, and this is text."},
		"inner type":    {"{inner: {wait: 3}}", "3:38 value of the wrong type \"inner.wait\" must be text, and this is a number. Put it in quotes."},
		"inner unknown": {"{inner: {weit: x}}", "3:38 unknown key \"weit\" is not a key here."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cat, err := Parse("x", []byte("version: 1\nzone: UTC\nenvironments: {prod: {kube: "+c.section+"}}"), known())
			if err != nil {
				t.Fatal(render(err))
			}
			s := cat.Environments[0].Drivers["kube"]
			dec := json.NewDecoder(strings.NewReader(string(s.JSON)))
			dec.DisallowUnknownFields()
			err = fmt.Errorf("kube: configuration: %w", dec.Decode(new(kubeConfig)))
			f := fault.Of(s.Fault("", err, "context", "qps", "inner"))[0]
			if got := fmt.Sprintf("%d:%d %s %s", f.At.Line, f.At.Column, f.Summary, f.Detail); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSectionFaultOfValidation(t *testing.T) {
	t.Parallel()
	s := load(t).Environments[1].Drivers["argocd"]
	for _, c := range []struct {
		key, err  string
		line, col int
	}{
		{"namespace", "must not be that", 23, 7},
		{"", "namespace must not be that", 23, 7},
		{"", "context: unknown", 20, 21}, // written where the alias points
		{"", "something else", 22, 7},
		{"no.such", "something else", 22, 7},
	} {
		f := fault.Of(s.Fault(c.key, errors.New(c.err)))[0]
		if f.At.Line != c.line || f.At.Column != c.col {
			t.Errorf("%q %q: at %v, want %d:%d", c.key, c.err, f.At, c.line, c.col)
		}
	}
	joined := s.Fault("", fmt.Errorf("argocd: %w", errors.Join(errors.New("namespace is a"), errors.New("context is b"))))
	if got := fault.Of(joined); len(got) != 2 || got[0].At.Line != 23 || got[1].At.Line != 20 {
		t.Errorf("got %v", joined)
	}
	if s.Fault("", nil) != nil {
		t.Error("a fault of no error")
	}
	if again := s.Fault("", joined); len(fault.Of(again)) != 2 {
		t.Errorf("placed faults became %v", again)
	}
	if f := fault.Of(Section{}.Fault("x", errors.New("y")))[0]; f.At != nil {
		t.Errorf("the empty section has the place %v", f.At)
	}
}
