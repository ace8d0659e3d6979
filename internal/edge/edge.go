// Package edge is request routing as data: a front door's listeners, their
// rules in order, and who sees what through them.
//
// The semantics are those of an AWS Application Load Balancer, the strictest
// of the doors that noren closes; the gate serves the same rules itself, and
// who-sees evaluates them without sending a request. Nothing here does I/O.
package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Names that noren puts on the wire. A probe carries ProbeHeader and always
// sees the closed page, also from the office; staff carry the pass in
// PassHeader or PassCookie and reach the application.
const (
	ProbeHeader = "X-Noren-Probe"
	PassHeader  = "X-Noren-Pass"
	PassCookie  = "noren_pass"
	// SeenHeader is how a gate tells a probe that met the page by which address
	// it saw it come, and which rule would have answered without ProbeHeader:
	// "10.0.0.5; staff by address". It tells a sender nothing of others.
	SeenHeader = "X-Noren-Seen"
)

// ByAddress is what the rule for staff by address is called in SeenHeader.
const ByAddress = "staff by address"

// A Request is what a door knows about a request when it chooses a rule.
type Request struct {
	Scheme string // "http" or "https"
	Port   int    // of the listener; 0 means the scheme's own
	Method string
	Host   string // without a port
	Path   string // as sent, without the query
	Query  string // raw, without "?"
	Header http.Header
	Source netip.Addr // the TCP peer: behind a proxy or CDN, the proxy's address
}

// A Front is a whole front door. Listeners are independent of one another.
type Front struct {
	Listeners []Listener `json:"listeners"`
}

// A Listener is one port of a door with its rules, first match first.
type Listener struct {
	Scheme  string `json:"scheme"`
	Port    int    `json:"port"`
	Rules   []Rule `json:"rules"`
	Default Action `json:"default"`
}

// A Rule is taken when all its conditions hold. Without conditions it always is.
type Rule struct {
	// Name says where the rule comes from, for people:
	// "ingress shop/web rules[0].paths[1]" or "noren: closed page".
	Name       string      `json:"name"`
	Conditions []Condition `json:"conditions,omitempty"`
	Action     Action      `json:"action"`
}

// A Field is the part of a request that a condition looks at.
type Field string

// The fields. Values of one condition are alternatives. In host, path and
// header values * stands for any run of characters and ? for one. Hosts and
// header values ignore case; paths and methods do not. A source is a CIDR. A
// query value is "key=value" or "value" alone, and ignores case.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
const (
	Host   Field = "host"
	Path   Field = "path"
	Method Field = "method"
	Source Field = "source"
	Header Field = "header"
	Query  Field = "query"
)

// A Condition holds when any of its values matches its field. Name is the
// header's name, for Header only.
type Condition struct {
	Field  Field    `json:"field"`
	Name   string   `json:"name,omitempty"`
	Values []string `json:"values"`
}

func (c Condition) String() string {
	field := string(c.Field)
	if c.Name != "" {
		field += " " + c.Name
	}
	return field + " " + strings.Join(c.Values, " or ")
}

// A Kind is what a rule does with a request.
type Kind string

// The kinds of action. Pass is noren's own: go on with the rules behind the
// curtain, as if the curtain were not there. A load balancer has no such
// action: [Expand] turns it into copies of the rules behind.
const (
	Respond  Kind = "respond"
	Forward  Kind = "forward"
	Redirect Kind = "redirect"
	Pass     Kind = "pass"
)

// An Action says what happens to a request. Login is set where the door asks
// for a login before it: the visitor sees the login first.
type Action struct {
	Kind     Kind      `json:"kind"`
	Response *Response `json:"response,omitempty"` // of Respond
	Backend  string    `json:"backend,omitempty"`  // of Forward: "service shop/web:80" or a URL
	Location string    `json:"location,omitempty"` // of Redirect
	Status   int       `json:"status,omitempty"`   // of Redirect
	Login    bool      `json:"login,omitempty"`
}

func (a Action) String() string {
	login := ""
	if a.Login {
		login = "login, then "
	}
	switch a.Kind {
	case Respond:
		if a.Response == nil {
			return login + "respond"
		}
		return fmt.Sprintf("%s%d %s", login, a.Response.Status, a.Response.ContentType)
	case Forward:
		return login + a.Backend
	case Redirect:
		return fmt.Sprintf("%s%d to %s", login, a.Status, a.Location)
	default:
		return login + string(a.Kind)
	}
}

// A Response is what a door answers by itself. Mark is noren's token in the
// body, empty for responses that are not noren's. Header is for doors that can
// send headers; an ALB fixed response cannot.
type Response struct {
	Status      int               `json:"status"`
	ContentType string            `json:"contentType"`
	Body        string            `json:"body"`
	Header      map[string]string `json:"header,omitempty"`
	Mark        string            `json:"mark,omitempty"`
	// Twin says the same in another content type, for doors that can choose by
	// a request's Accept; others leave it out.
	Twin *Twin `json:"twin,omitempty"`
}

// A Twin is a response's body in another content type; status, headers and
// mark are the same.
type Twin struct {
	ContentType string `json:"contentType"`
	Body        string `json:"body"`
}

// AsTwin is the response with the body of its twin, which must be there.
func (r Response) AsTwin() Response {
	r.ContentType, r.Body, r.Twin = r.Twin.ContentType, r.Twin.Body, nil
	return r
}

// A Decision is the answer to "who sees what": the action taken and the rule
// that took it. Index is the rule's place from 0, or -1 for the default action.
type Decision struct {
	Listener Listener `json:"-"`
	Index    int      `json:"index"`
	Rule     string   `json:"rule"`
	Action   Action   `json:"action"`
}
