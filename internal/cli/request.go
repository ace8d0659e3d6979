package cli

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
)

// parseRequest makes the request that who-sees asks about.
func parseRequest(raw, method, from string, headers []string) (edge.Request, error) {
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return edge.Request{}, invalid("malformed URL", raw+" is not an http or https URL such as https://shop.example.com/cart.")
	}
	r := edge.Request{Scheme: u.Scheme, Method: strings.ToUpper(method), Host: u.Hostname(), Path: u.EscapedPath(), Query: u.RawQuery, Header: http.Header{}}
	if r.Path == "" {
		r.Path = "/"
	}
	if p := u.Port(); p != "" {
		if r.Port, err = strconv.Atoi(p); err != nil {
			return r, invalid("malformed URL", "The port of "+raw+" is not a number.")
		}
	}
	if from != "" {
		if r.Source, err = netip.ParseAddr(from); err != nil {
			return r, invalid("malformed address", "--from "+from+" is not an IP address such as 203.0.113.7.")
		}
	}
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return r, invalid("malformed header", "--header "+h+" is not of the form 'Name: value'.")
		}
		r.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return r, nil
}
