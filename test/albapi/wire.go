package albapi

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A node is a parameter of the query protocol: its own text, and what is below
// it, as in Conditions.member.1.Field.
// Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
type node struct {
	text string
	kids map[string]*node
}

func parse(form url.Values) *node {
	root := &node{}
	for key, values := range form {
		at := root
		for part := range strings.SplitSeq(key, ".") {
			if at.kids == nil {
				at.kids = map[string]*node{}
			}
			if at.kids[part] == nil {
				at.kids[part] = &node{}
			}
			at = at.kids[part]
		}
		at.text = values[0]
	}
	return root
}

// at is what is below by name; it is never nil.
func (n *node) at(names ...string) *node {
	for _, name := range names {
		if n.kids[name] == nil {
			return &node{}
		}
		n = n.kids[name]
	}
	return n
}

// is tells whether there is anything.
func (n *node) is() bool { return n.text != "" || len(n.kids) > 0 }

// list are the members of a list.
func (n *node) list(name string) []*node {
	members := n.at(name, "member").kids
	var numbers []int
	for key := range members {
		if i, err := strconv.Atoi(key); err == nil {
			numbers = append(numbers, i)
		}
	}
	slices.Sort(numbers)
	var out []*node
	for _, i := range numbers {
		out = append(out, members[strconv.Itoa(i)])
	}
	return out
}

func (n *node) texts(name string) []string {
	var out []string
	for _, m := range n.list(name) {
		out = append(out, m.text)
	}
	return out
}

func (n *node) number(name string) (value int, given bool) {
	v, err := strconv.Atoi(n.at(name).text)
	return v, err == nil
}

// An element is one of an answer: a text, or what is below it in order.
type element struct {
	name string
	text string
	kids []element
}

func text(name, value string) element { return element{name: name, text: value} }

// many is a list.
func many(name string, members []element) element {
	for i := range members {
		members[i].name = "member"
	}
	return element{name: name, kids: members}
}

func of(name string, kids ...element) element { return element{name: name, kids: kids} }

func (e element) write(b *strings.Builder) {
	fmt.Fprintf(b, "<%s>", e.name)
	_ = xml.EscapeText(b, []byte(e.text))
	for _, k := range e.kids {
		k.write(b)
	}
	fmt.Fprintf(b, "</%s>", e.name)
}

// A refusal is an error as AWS sends it.
type refusal struct {
	status        int
	code, message string
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func (r *refusal) send(w http.ResponseWriter) {
	var b strings.Builder
	of("ErrorResponse", of("Error", text("Type", "Sender"), text("Code", r.code), text("Message", r.message)), text("RequestId", "1")).write(&b)
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(r.status)
	_, _ = w.Write([]byte(b.String()))
}

// latency is how long an answer takes at least.
const latency = 2 * time.Millisecond

// isWrite tells whether a call changes something.
func isWrite(call string) bool {
	return !strings.HasPrefix(call, "Describe") && !strings.HasPrefix(call, "Get")
}

// elbVersion is the version of the one API that the server has.
const elbVersion = "2015-12-01"

// refuseOther answers for every other service, as to somebody who may ask for
// none of it: in JSON, which all but those of the query protocol speak.
func refuseOther(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprintf(w, `{"__type": "AccessDeniedException", "message": "User: arn:aws:iam::%s:user/night is not authorized to perform this"}`, Account)
}

// ServeHTTP implements http.Handler: it answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		refuseOther(w)
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse("MalformedQueryString", "%v", err).send(w)
		return
	}
	// No network is quicker. The SDK closes a request's body when the answer is
	// there, and at no latency it takes the end of the body for an error then.
	<-time.After(latency)
	call := r.Form.Get("Action")
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if isWrite(call) && before != nil {
		before(call)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call]++
	if b := s.buckets[isWrite(call)]; b != nil && !b.Allow() {
		refuse("Throttling", "Rate exceeded").send(w)
		return
	}
	if s.denied[call] {
		(&refusal{http.StatusForbidden, "AccessDenied", fmt.Sprintf("User: arn:aws:iam::%s:user/night is not authorized to perform: elasticloadbalancing:%s on resource: %s because no identity-based policy allows it", Account, call, r.Form.Get("ListenerArn"))}).send(w)
		return
	}
	do, known := handlers[call]
	if !known && r.Form.Get("Version") != elbVersion {
		(&refusal{http.StatusForbidden, "AccessDenied", fmt.Sprintf("User: arn:aws:iam::%s:user/night is not authorized to perform this", Account)}).send(w)
		return
	}
	if !known {
		refuse("InvalidAction", "Could not find operation %s", call).send(w)
		return
	}
	result, refused := do(s, parse(r.Form))
	if refused != nil {
		refused.send(w)
		return
	}
	if isWrite(call) {
		s.writes++
		if s.lose > 0 {
			s.lose--
			panic(http.ErrAbortHandler)
		}
	}
	var b strings.Builder
	of(call+"Response", of(call+"Result", result...), of("ResponseMetadata", text("RequestId", "1"))).write(&b)
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte(b.String()))
}

// page cuts a list into pages. A marker is where the next begins.
func page(n *node, all []element, most int) ([]element, []element, *refusal) {
	size, given := n.number("PageSize")
	switch {
	case !given:
		size = most
	case size < 1 || size > 400:
		return nil, nil, refuse("ValidationError", "PageSize must be between 1 and 400")
	}
	from := 0
	if m := n.at("Marker").text; m != "" {
		var err error
		if from, err = strconv.Atoi(m); err != nil || from > len(all) {
			return nil, nil, refuse("ValidationError", "Marker %q is not valid", m)
		}
	}
	to := min(from+min(size, most), len(all))
	if to == len(all) {
		return all[from:], nil, nil
	}
	return all[from:to], []element{text("NextMarker", strconv.Itoa(to))}, nil
}
