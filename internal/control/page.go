package control

import (
	"errors"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/page"
)

// pageOf makes a service's closed page: HTML for people, JSON for programs.
func (x *planner) pageOf(s catalog.Service, limit int) (page.Page, error) {
	return PageOf(x.Catalog, s, page.Content{Until: x.req.Until, Mark: x.mark}, limit)
}

// pageFor makes the page for a door, and returns the limit that it keeps: the
// door's own, or none where the page outgrows that and a page server can send it.
func (x *planner) pageFor(s catalog.Service, door *driver.Survey) (page.Page, int, error) {
	p, err := x.pageOf(s, door.PageLimit)
	if door.LargePages && errors.Is(err, page.ErrTooLarge) {
		p, err = x.pageOf(s, page.Unlimited)
		return p, page.Unlimited, err
	}
	return p, door.PageLimit, err
}

// PageOf makes a service's closed page with what the catalog says of it; c
// brings the rest: the mark and the end. Its errors point into the catalog.
func PageOf(cat *catalog.Catalog, s catalog.Service, c page.Content, limit int) (page.Page, error) {
	p, err := furnished(cat, s, c, limit)
	return p, placed(s, err)
}

func furnished(cat *catalog.Catalog, s catalog.Service, c page.Content, limit int) (page.Page, error) {
	p := s.Page
	c.Languages, c.Title, c.Message, c.Contact, c.Zone = p.Languages, p.Title, p.Message, p.Contact, cat.Zone
	var err error
	if c.Logo, err = p.ReadLogo(); err != nil {
		return page.Page{}, err
	}
	if c.Template, err = p.ReadTemplate(); err != nil {
		return page.Page{}, err
	}
	if s.Kind == catalog.API {
		return page.JSON(c, limit)
	}
	return page.HTML(c, limit)
}

// response is the page as a door answers it. A door with a limit sends a bare
// content type and no headers, unless it says that it does. One without has the
// twin too, for requests that would rather have the other type.
func (x *planner) response(s catalog.Service, p page.Page, door *driver.Survey, limit int) (edge.Response, error) {
	return responseOf(x.Catalog, s, p, page.Content{Until: x.req.Until, Mark: x.mark}, limit, door.Headers)
}

// responseOf is response for a page of any mark and end.
func responseOf(cat *catalog.Catalog, s catalog.Service, p page.Page, c page.Content, limit int, headers bool) (edge.Response, error) {
	r := edge.Response{Status: p.Status, ContentType: p.ContentType, Body: string(p.Body), Mark: c.Mark}
	if limit > 0 && !headers {
		r.ContentType = p.ALBType()
		return r, nil
	}
	if p.RetryAfter != "" {
		r.Header = map[string]string{"Retry-After": p.RetryAfter}
	}
	if limit > 0 {
		return r, nil
	}
	other := s
	if other.Kind = catalog.API; s.Kind == catalog.API {
		other.Kind = catalog.Web
	}
	twin, err := PageOf(cat, other, c, limit)
	if err != nil {
		return r, err
	}
	r.Twin = &edge.Twin{ContentType: twin.ContentType, Body: string(twin.Body)}
	return r, nil
}
