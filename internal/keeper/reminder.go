// Package keeper minds the closings of a state directory, so that reopening
// does not depend on the person who closed: it reminds people as the end nears,
// opens at the end what was closed to be opened by itself, and carries on runs
// that were cut off.
//
// It asks package control for everything, as a person does, and never more than
// a person without flags: it opens onto no sick application and chooses no side
// where a target has drifted. What people were told is an event of the closing,
// recorded before it is told, so that a keeper started anew repeats nothing.
package keeper

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// A Reminder is what a person is told. It holds no secret.
type Reminder struct {
	Topic       run.Topic `json:"topic"`
	At          time.Time `json:"at"`
	Environment string    `json:"environment"`
	Services    []string  `json:"services"`
	Run         string    `json:"run"` // the closing
	Actor       string    `json:"by"`  // who closed
	Reason      string    `json:"reason,omitempty"`
	Until       time.Time `json:"until"`
	// Left is how many seconds there are until the end, negative when it is
	// late.
	Left     int  `json:"secondsLeft"`
	AutoOpen bool `json:"autoOpen"`
	// Text is the whole of it in one line, Try what to do, ready to be pasted.
	Text string   `json:"text"`
	Try  []string `json:"try,omitempty"`
}

// A Channel is a way to tell people of a reminder.
type Channel interface {
	// Name is how the channel is known in a complaint about it.
	Name() string
	// Send tells people. It returns soon after ctx is done. What failed is not
	// sent again: the next reminder is not far.
	Send(ctx context.Context, r Reminder) error
}

// words makes the line of a reminder about the end.
func words(g group, now time.Time, why string) string {
	who := fmt.Sprintf("%s in %s", strings.Join(g.services, ", "), g.environment)
	clock := g.clock(g.until)
	var s string
	switch left := g.until.Sub(now); {
	case left >= time.Second:
		s = fmt.Sprintf("%s: the closing ends in %s, at %s", who, report.Roughly(left), clock)
	case left > -time.Minute:
		s = fmt.Sprintf("%s: the closing ends now, at %s", who, clock)
	default:
		s = fmt.Sprintf("%s: LATE by %s, was to open at %s", who, report.Roughly(-left), clock)
	}
	switch {
	case why != "":
		s += "; " + why
	case g.autoOpen && now.Before(g.until):
		s += "; it opens by itself if it is ready"
	}
	return s
}

// advice is what a person can do about a closing that ends.
func advice(g group) []string {
	names := strings.Join(g.services, " ")
	return []string{
		fmt.Sprintf("noren extend %s --env %s --for 30m", names, g.environment),
		fmt.Sprintf("noren open %s --env %s", names, g.environment),
	}
}
