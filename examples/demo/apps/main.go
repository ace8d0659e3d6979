// Command apps is the two sample applications of the demo: a web shop and a
// JSON API, each on a port of its own. Answers take a moment, as real ones do,
// so that closing happens while requests are in flight.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// work is how long an answer takes.
const work = 40 * time.Millisecond

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: apps SHOP-ADDRESS API-ADDRESS")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serve(ctx, os.Args[1], shop()) })
	g.Go(func() error { return serve(ctx, os.Args[2], api()) })
	if err := g.Wait(); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, address string, h http.Handler) error {
	s := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(work)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>Shop</title><h1>The shop is open</h1><p>You asked for %s.</p>\n", r.URL.EscapedPath())
	})
	return mux
}

func api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(work)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"items": []string{"tea", "rice"}, "path": r.URL.Path})
	})
	return mux
}
