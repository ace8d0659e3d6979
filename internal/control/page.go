package control

import (
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/page"
)

// pageOf makes a service's closed page: HTML for people, JSON for programs.
func (x *planner) pageOf(s catalog.Service, limit int) (page.Page, error) {
	return PageOf(x.Catalog, s, page.Content{Until: x.req.Until, Mark: x.mark}, limit)
}

// PageOf makes a service's closed page with what the catalog says of it; c
// brings the rest: the mark and the end. Its errors point into the catalog.
func PageOf(cat *catalog.Catalog, s catalog.Service, c page.Content, limit int) (page.Page, error) {
	p, err := pageFor(cat, s, c, limit)
	return p, placed(s, err)
}

func pageFor(cat *catalog.Catalog, s catalog.Service, c page.Content, limit int) (page.Page, error) {
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

// response is the page as a door answers it. A door with a limit sends no
// headers and a bare content type.
func response(p page.Page, mark string, limit int) edge.Response {
	r := edge.Response{Status: p.Status, ContentType: p.ContentType, Body: string(p.Body), Mark: mark}
	if limit > 0 {
		r.ContentType = p.ALBType()
		return r
	}
	if p.RetryAfter != "" {
		r.Header = map[string]string{"Retry-After": p.RetryAfter}
	}
	return r
}
