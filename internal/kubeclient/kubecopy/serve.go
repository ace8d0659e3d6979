package kubecopy

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/localca"
)

// ContextName is the context of the kubeconfigs that lead to copies.
const ContextName = "rehearsal"

// readHeaderTimeout bounds how long a program on this machine may take to ask.
const readHeaderTimeout = 10 * time.Second

// A Server serves copies of clusters on the loopback address, to whoever has
// the token of its kubeconfigs. It is safe for concurrent use.
type Server struct {
	dir      string
	now      func() time.Time
	token    string
	ca       *localca.Authority
	listener net.Listener
	server   *http.Server

	mu      sync.Mutex
	copies  []*Copy
	of      map[kubeclient.Config]int
	written map[string]bool // kubeconfigs
}

// Start serves until Close. Kubeconfigs are written into dir, which nobody else
// should be able to read.
func Start(ctx context.Context, dir string, now func() time.Time) (*Server, error) {
	ca, err := localca.New(now())
	if err != nil {
		return nil, fmt.Errorf("copy of the cluster: %w", err)
	}
	ca.Addresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("copy of the cluster: %w", err)
	}
	s := &Server{dir: dir, now: now, token: rand.Text(), ca: ca, listener: l, of: map[kubeclient.Config]int{}, written: map[string]bool{}}
	s.server = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: readHeaderTimeout}
	// client-go sends a token over TLS alone.
	secure := tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: ca.Certificate, NextProtos: []string{"http/1.1"}})
	go func() { _ = s.server.Serve(secure) }() // its end is Close
	return s, nil
}

// Close ends the server and forgets the copies.
func (s *Server) Close() error {
	if err := s.server.Close(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Copy is the copy of the cluster that a kubeconfig and a context name, begun
// if there is none yet, and its number. It sends no request.
func (s *Server) Copy(cfg kubeclient.Config) (*Copy, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, begun := s.of[cfg]; begun {
		return s.copies[n], n, nil
	}
	config, _, err := cfg.REST()
	if err != nil {
		return nil, 0, err
	}
	from, err := newSource(config)
	if err != nil {
		return nil, 0, err
	}
	s.copies = append(s.copies, newCopy(from, s.now))
	s.of[cfg] = len(s.copies) - 1
	return s.copies[len(s.copies)-1], len(s.copies) - 1, nil
}

// Copies are all that were begun.
func (s *Server) Copies() []*Copy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Copy(nil), s.copies...)
}

// Kubeconfig writes a file by which drivers reach a copy by its number, in the
// context [ContextName]: as it is, and may be written to.
func (s *Server) Kubeconfig(n int) (path string, err error) {
	return s.kubeconfig(fmt.Sprintf("copy-%d", n), fmt.Sprintf("/copies/%d", n))
}

// KubeconfigAt is Kubeconfig for the copy as it was before its write of the
// number moment, to be read only.
func (s *Server) KubeconfigAt(n, moment int) (path string, err error) {
	return s.kubeconfig(fmt.Sprintf("copy-%d-%d", n, moment), fmt.Sprintf("/copies/%d/at/%d", n, moment))
}

// kubeconfig writes a file once: drivers may be reading it.
func (s *Server) kubeconfig(name, below string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, name+".kubeconfig")
	if s.written[path] {
		return path, nil
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[ContextName] = &clientcmdapi.Cluster{Server: "https://" + s.listener.Addr().String() + below, CertificateAuthorityData: s.ca.PEM}
	config.AuthInfos[ContextName] = &clientcmdapi.AuthInfo{Token: s.token}
	config.Contexts[ContextName] = &clientcmdapi.Context{Cluster: ContextName, AuthInfo: ContextName}
	config.CurrentContext = ContextName
	raw, err := clientcmd.Write(*config)
	if err != nil {
		return "", fmt.Errorf("kubeconfig of the copy: %w", err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return "", fmt.Errorf("kubeconfig of the copy: %w", err)
	}
	s.written[path] = true
	return path, nil
}

// serve finds the copy and the moment that a request is for.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) != 1 {
		refuse(w, http.StatusUnauthorized, "Unauthorized", "this copy of a cluster is for the rehearsal that made it")
		return
	}
	rest, _ := strings.CutPrefix(r.URL.Path, "/copies/")
	number, rest, _ := strings.Cut(rest, "/")
	moment := live
	if after, at := strings.CutPrefix(rest, "at/"); at {
		var when string
		when, rest, _ = strings.Cut(after, "/")
		m, err := strconv.Atoi(when)
		if err != nil {
			refuse(w, http.StatusNotFound, "NotFound", "no such moment")
			return
		}
		moment = m
	}
	n, err := strconv.Atoi(number)
	copies := s.Copies()
	if err != nil || n < 0 || n >= len(copies) {
		refuse(w, http.StatusNotFound, "NotFound", "no such copy")
		return
	}
	copies[n].serve(w, r, "/"+rest, moment)
}

// serve answers one request for a path below the API server's root.
func (c *Copy) serve(w http.ResponseWriter, r *http.Request, path string, moment int) {
	q, ok := parsePath(path)
	switch {
	case r.Method == http.MethodPost && ok && isReview(q.key.kind):
		reviewed(w, r)
	case !ok && r.Method == http.MethodGet:
		c.pass(w, r, path)
	case !ok, q.sub != "", r.URL.Query().Get("watch") != "":
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", fmt.Sprintf("a rehearsal's copy of a cluster does not know %s %s", r.Method, path))
	case r.Method == http.MethodGet && q.key.name != "":
		c.serveGet(w, r, q.key, moment)
	case r.Method == http.MethodGet:
		c.serveList(w, r, scope{q.key.kind, q.key.namespace}, moment)
	case moment != live:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "what was cannot be written to")
	default:
		c.serveWrite(w, r, q.key)
	}
}

// A pathOf names what a request is about.
type parsed struct {
	key key
	sub string // subresource
}

// parsePath reads the path of a resource; other paths are of discovery, schemas
// and the like. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
func parsePath(path string) (parsed, bool) {
	p := strings.Split(strings.Trim(path, "/"), "/")
	var q parsed
	switch {
	case len(p) > 2 && p[0] == "api":
		q.key.kind, p = kind{"", p[1], ""}, p[2:]
	case len(p) > 3 && p[0] == "apis":
		q.key.kind, p = kind{p[1], p[2], ""}, p[3:]
	default:
		return q, false
	}
	if p[0] == "namespaces" && len(p) > 2 && p[2] != "status" && p[2] != "finalize" {
		q.key.namespace, p = p[1], p[2:]
	}
	p = append(p, "", "")
	q.key.kind.resource, q.key.name, q.sub = p[0], p[1], p[2]
	return q, true
}

// pass answers with the real server's discovery and schemas.
func (c *Copy) pass(w http.ResponseWriter, r *http.Request, path string) {
	a, err := c.source.get(r.Context(), path, r.URL.RawQuery, r.Header.Get("Accept"))
	if err != nil {
		unanswered(w, err)
		return
	}
	tell(w, a)
}

func tell(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", a.contentType)
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body) // the driver may have given up
}

// unanswered says that the real API server did not answer: to be tried again.
func unanswered(w http.ResponseWriter, err error) {
	refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", err.Error())
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	show(w, code, object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Failure", "reason": reason, "message": message, "code": code})
}

func show(w http.ResponseWriter, code int, o object) {
	raw, err := json.Marshal(o)
	if err != nil { // of plain data
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	tell(w, answer{code, acceptJSON, raw})
}

// absent is what the API server says of an object that is not there.
func absent(w http.ResponseWriter, k key) {
	show(w, http.StatusNotFound, object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Failure", "reason": "NotFound",
		"message": fmt.Sprintf("%s %q not found", k.kind, k.name), "code": http.StatusNotFound,
		"details": object{"name": k.name, "group": k.kind.group, "kind": k.kind.resource}})
}

func (c *Copy) serveGet(w http.ResponseWriter, r *http.Request, k key, moment int) {
	a, err := c.get(r.Context(), k)
	switch {
	case err != nil:
		unanswered(w, err)
		return
	case a != nil:
		tell(w, *a)
		return
	}
	c.mu.Lock()
	o := c.at(k, moment)
	c.mu.Unlock()
	if o == nil {
		absent(w, k)
		return
	}
	show(w, http.StatusOK, o)
}

func (c *Copy) serveList(w http.ResponseWriter, r *http.Request, s scope, moment int) {
	chosen, err := selection(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	a, err := c.list(r.Context(), s)
	switch {
	case err != nil:
		unanswered(w, err)
		return
	case a != nil:
		tell(w, *a)
		return
	}
	c.mu.Lock()
	items := []any{}
	for _, o := range c.found(s, moment) {
		if chosen(o) {
			items = append(items, o)
		}
	}
	name, version := c.names[s.kind], strconv.FormatInt(c.version, 10)
	c.mu.Unlock()
	api := s.kind.version
	if s.kind.group != "" {
		api = s.kind.group + "/" + s.kind.version
	}
	show(w, http.StatusOK, object{"kind": name + "List", "apiVersion": api, "metadata": object{"resourceVersion": version}, "items": items})
}

// isReview tells whether a kind asks who somebody is or what they may.
func isReview(k kind) bool {
	return k.group == "authentication.k8s.io" || k.group == "authorization.k8s.io"
}

// reviewed answers that noren is a rehearsal and may do everything: a copy knows
// no permissions. noren check --live asks the real server.
func reviewed(w http.ResponseWriter, r *http.Request) {
	var review object
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		body, err = plain(body)
	}
	if err == nil {
		review, err = decode(body)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	review["status"] = object{"allowed": true, "userInfo": object{"username": ContextName}}
	show(w, http.StatusCreated, review)
}
