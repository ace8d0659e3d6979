package cdn

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

type invalidation struct {
	id, reference string
	paths         []string
	looks         int // that it still takes
}

// batch is the body of CreateInvalidation.
type batch struct {
	Paths struct {
		Quantity int
		Items    struct{ Path []string }
	}
	CallerReference string
}

// cloudfront answers CloudFront. Sources:
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html,
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationBatch.html
func (s *Server) cloudfront(w http.ResponseWriter, r *http.Request, body []byte, expired bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // version, distribution, ID, invalidation, ID
	if len(parts) < 4 || parts[1] != "distribution" || parts[3] != "invalidation" {
		refuseFront(w, &refusal{http.StatusNotFound, "UnknownOperation", r.URL.Path, nil})
		return
	}
	right := "cloudfront:GetInvalidation"
	if r.Method == http.MethodPost {
		right = "cloudfront:CreateInvalidation"
	}
	switch {
	case expired:
		refuseFront(w, &refusal{http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired", nil})
	case s.denied[right]:
		refuseFront(w, s.deniedTo(right, "arn:aws:cloudfront::"+Account+":distribution/"+parts[2]))
	case parts[2] != Distribution:
		refuseFront(w, &refusal{http.StatusNotFound, "NoSuchDistribution", "The specified distribution does not exist.", nil})
	case r.Method == http.MethodPost:
		s.invalidate(w, body)
	case len(parts) == 5:
		s.invalidationOf(w, parts[4])
	}
}

func (s *Server) invalidate(w http.ResponseWriter, body []byte) {
	var in batch
	if err := xml.Unmarshal(body, &in); err != nil {
		refuseFront(w, &refusal{http.StatusBadRequest, "MalformedXML", err.Error(), nil})
		return
	}
	paths := in.Paths.Items.Path
	have := s.invalidations[in.CallerReference]
	switch {
	case in.Paths.Quantity != len(paths):
		refuseFront(w, &refusal{http.StatusBadRequest, "InconsistentQuantities", "The value of Quantity and the size of Items don't match.", nil})
		return
	case have != nil && strings.Join(have.paths, " ") != strings.Join(paths, " "):
		refuseFront(w, &refusal{http.StatusBadRequest, "InvalidationBatchAlreadyExists", "The caller reference was used with other paths.", nil})
		return
	case have == nil && s.crowded > 0:
		s.crowded--
		refuseFront(w, &refusal{http.StatusBadRequest, "TooManyInvalidationsInProgress", "Your request exceeds the maximum number of in-progress invalidations.", nil})
		return
	}
	s.writing(w, "CreateInvalidation "+strings.Join(paths, " "), func() {
		if have == nil {
			s.made++
			have = &invalidation{id: "I" + strconv.Itoa(s.made), reference: in.CallerReference, paths: paths, looks: s.slow}
			s.invalidations[in.CallerReference] = have
			s.carryOut(have)
		}
		if s.cut {
			drop(w)
			return
		}
		have.send(w, http.StatusCreated)
	})
}

// carryOut forgets what is kept once the invalidation is completed.
func (s *Server) carryOut(i *invalidation) {
	if i.looks > 0 || s.deaf {
		return
	}
	for _, p := range i.paths {
		delete(s.kept, p)
	}
}

func (s *Server) invalidationOf(w http.ResponseWriter, id string) {
	for _, i := range s.invalidations {
		if i.id != id {
			continue
		}
		if i.looks > 0 {
			i.looks--
			s.carryOut(i)
		}
		i.send(w, http.StatusOK)
		return
	}
	refuseFront(w, &refusal{http.StatusNotFound, "NoSuchInvalidation", "The specified invalidation does not exist.", nil})
}

func (i *invalidation) send(w http.ResponseWriter, status int) {
	state := "Completed"
	if i.looks > 0 {
		state = "InProgress"
	}
	var items strings.Builder
	for _, p := range i.paths {
		items.WriteString("<Path>" + text(p) + "</Path>")
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Invalidation xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Id>%s</Id><Status>%s</Status><CreateTime>2026-11-25T00:00:00Z</CreateTime><InvalidationBatch><Paths><Quantity>%d</Quantity><Items>%s</Items></Paths><CallerReference>%s</CallerReference></InvalidationBatch></Invalidation>`,
		i.id, state, len(i.paths), items.String(), text(i.reference))
}

func refuseFront(w http.ResponseWriter, ref *refusal) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(ref.status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>`, ref.code, text(ref.message))
}
