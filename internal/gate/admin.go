package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// adminHandler is the gate's admin API. Everything but /healthz wants the token.
func (g *Gate) adminHandler() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/doors", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, g.describe()) })
	api.HandleFunc("GET /v1/doors/{name}", g.withDoor(g.getDoor))
	api.HandleFunc("GET /v1/doors/{name}/health", g.withDoor(g.getHealth))
	api.HandleFunc("PUT /v1/doors/{name}/closing", g.withDoor(g.putClosing))
	api.HandleFunc("DELETE /v1/doors/{name}/closing", g.withDoor(g.deleteClosing))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !g.token.admits(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem(w, http.StatusUnauthorized, "token is missing or wrong", "Send the token of this gate, from "+g.TokenFile()+" on its machine.")
			return
		}
		api.ServeHTTP(w, r)
	})
	return mux
}

func (g *Gate) withDoor(h func(http.ResponseWriter, *http.Request, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		i := slices.IndexFunc(g.doors, func(d *door) bool { return d.config.Name == name })
		if i >= 0 {
			h(w, r, i)
			return
		}
		p := gateapi.Problem{Title: "no such door", Status: http.StatusNotFound}
		for _, d := range g.doors {
			p.Doors = append(p.Doors, d.config.Name)
		}
		p.Detail = fmt.Sprintf("This gate has no door %q. It has: %s.", name, strings.Join(p.Doors, ", "))
		answer(w, p.Status, p)
	}
}

func (g *Gate) getDoor(w http.ResponseWriter, _ *http.Request, i int) {
	d := g.describeDoor(g.table.Load(), i)
	tag, err := d.Closed.Tag()
	if err != nil {
		problem(w, http.StatusInternalServerError, "door cannot be described", err.Error())
		return
	}
	w.Header().Set("ETag", tag)
	answer(w, http.StatusOK, d)
}

func (g *Gate) putClosing(w http.ResponseWriter, r *http.Request, i int) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, gateapi.MaxBody))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "closing is too large or broke off", fmt.Sprintf("At most %d bytes are read: %v.", gateapi.MaxBody, err))
		return
	}
	var c gateapi.Closed
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		problem(w, http.StatusBadRequest, "closing is not understood", fmt.Sprintf("%v. A newer noren needs a newer gate.", err))
		return
	}
	if wrong := checkClosing(g.doors[i].config, c.Closing); wrong != "" {
		problem(w, http.StatusUnprocessableEntity, "closing is wrong", wrong)
		return
	}
	g.turnAnswer(w, r, i, &c)
}

func (g *Gate) deleteClosing(w http.ResponseWriter, r *http.Request, i int) {
	g.turnAnswer(w, r, i, nil)
}

// turnAnswer closes or opens a door if it is still as the caller read it.
func (g *Gate) turnAnswer(w http.ResponseWriter, r *http.Request, i int, to *gateapi.Closed) {
	believed := r.Header.Get("If-Match")
	if believed == "" {
		problem(w, http.StatusPreconditionRequired, "If-Match is missing", "Read the door first, and send its ETag as If-Match, so that nobody's closing is overwritten.")
		return
	}
	tag, err := g.turn(i, believed, to)
	var moved *errMoved
	switch {
	case errors.As(err, &moved):
		w.Header().Set("ETag", tag)
		problem(w, http.StatusPreconditionFailed, "door has moved", "Not done: "+moved.Error()+".")
	case err != nil:
		g.log.Error("door could not be kept on disk", "door", g.doors[i].config.Name, "error", err)
		status := http.StatusInternalServerError
		if isDiskFull(err) {
			status = http.StatusInsufficientStorage
		}
		problem(w, status, "state cannot be kept", fmt.Sprintf(
			"The door %s is as it was: the gate could not write %s (%v). Make room there, or make it writable, and try again.",
			g.doors[i].config.Name, g.config.StateDir, err))
	default:
		w.Header().Set("ETag", tag)
		w.WriteHeader(http.StatusNoContent)
	}
}

func problem(w http.ResponseWriter, status int, title, detail string) {
	answer(w, status, gateapi.Problem{Title: title, Status: status, Detail: detail})
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The asker may be gone; there is nobody to tell.
	_, _ = w.Write(append(raw, '\n'))
}
