// Command visitors sends requests to URLs without pause, as customers do, and
// tells at the end what they saw: a timeline and counts. It stops on SIGTERM
// or Ctrl-C and exits 1 if any request failed.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// visitorsPerURL send requests side by side, each waiting pause between two.
const (
	visitorsPerURL = 4
	pause          = 10 * time.Millisecond
	column         = 250 * time.Millisecond // of the timeline
	requestTimeout = 10 * time.Second
)

// What a visitor can see.
const (
	served = iota
	closed
	failed
	kinds
)

type seen struct {
	at    time.Duration
	kind  int
	error string
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: visitors URL…")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if failures := visit(ctx, os.Args[1:]); failures > 0 {
		os.Exit(1)
	}
}

// visit sends requests until ctx ends, prints what came back, and returns how
// many requests failed. A request under way when ctx ends is finished.
func visit(ctx context.Context, urls []string) int {
	client := toThisMachine()
	start := time.Now()
	results := make([][]seen, len(urls))
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, url := range urls {
		for range visitorsPerURL {
			all.Go(func() {
				for ctx.Err() == nil {
					kind, text := look(client, url)
					mu.Lock()
					results[i] = append(results[i], seen{time.Since(start), kind, text})
					mu.Unlock()
					time.Sleep(pause)
				}
			})
		}
	}
	all.Wait()
	failures := 0
	fmt.Printf("What visitors saw, a column for %s: # served, . closed, ! failed\n", column)
	for i, url := range urls {
		failures += report(url, results[i], time.Since(start))
	}
	return failures
}

// toThisMachine makes a client for which names under .localhost are this
// machine, as RFC 6761 has it and not every resolver does.
func toThisMachine() *http.Client {
	dialer := net.Dialer{}
	return &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".localhost") {
				address = net.JoinHostPort("127.0.0.1", port)
			}
			return dialer.DialContext(ctx, network, address)
		},
		MaxIdleConnsPerHost: visitorsPerURL,
	}}
}

// look sends one request. A 503 with noren's mark is the closed page; any
// other answer than 200 is a failure.
func look(client *http.Client, url string) (kind int, failure string) {
	resp, err := client.Get(url)
	if err != nil {
		return failed, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return failed, err.Error()
	case resp.StatusCode == http.StatusOK:
		return served, ""
	case resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "noren"):
		return closed, ""
	}
	return failed, resp.Status
}

func report(url string, results []seen, total time.Duration) int {
	columns := make([][kinds]int, int(total/column)+1)
	var counts [kinds]int
	var first string
	for _, s := range results {
		columns[int(s.at/column)][s.kind]++
		counts[s.kind]++
		if s.kind == failed && first == "" {
			first = s.error
		}
	}
	var line strings.Builder
	for _, c := range columns {
		line.WriteByte(sign(c))
	}
	fmt.Printf("  %-32s %s\n", url, line.String())
	fmt.Printf("  %-32s served %d, closed %d, errors %d\n", "", counts[served], counts[closed], counts[failed])
	if first != "" {
		fmt.Printf("  %-32s first error: %s\n", "", first)
	}
	return counts[failed]
}

// sign is the gravest thing seen in a column, and what most saw otherwise.
func sign(c [kinds]int) byte {
	switch {
	case c[failed] > 0:
		return '!'
	case c[closed] > c[served]:
		return '.'
	case c[served] > 0:
		return '#'
	}
	return ' '
}
