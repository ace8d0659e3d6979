package kubecopy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/noren-dev/noren/internal/kubeclient"
)

// selection makes a test of the selectors of a list.
func selection(q url.Values) (func(object) bool, error) {
	byLabel, err := labels.Parse(q.Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	byField, err := fields.ParseSelector(q.Get("fieldSelector"))
	if err != nil {
		return nil, err
	}
	return func(o object) bool {
		mine, _, _ := unstructured.NestedStringMap(o, "metadata", "labels")
		values := fields.Set{}
		for _, r := range byField.Requirements() {
			values[r.Field] = text(o, strings.Split(r.Field, ".")...)
		}
		return byLabel.Matches(labels.Set(mine)) && byField.Matches(values)
	}, nil
}

// maxBody is what the API server takes of a request.
// Source: k8s.io/apiserver MaxRequestBodyBytes.
const maxBody = 3 << 20

// A refusal is an answer to a write that writes nothing.
type refusal struct {
	code            int
	reason, message string
}

func (r *refusal) Error() string { return r.message }

func conflict(format string, args ...any) error {
	return &refusal{http.StatusConflict, "Conflict", fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, "BadRequest", fmt.Sprintf(format, args...)}
}

// serveWrite takes a write, all at once: the copy is locked from the look to
// the last stand-in's answer to it.
func (c *Copy) serveWrite(w http.ResponseWriter, r *http.Request, k key) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", err.Error())
		return
	}
	if r.Method != http.MethodPatch && len(body) > 0 {
		if body, err = plain(body); err != nil {
			refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
	}
	if r.Method == http.MethodPost {
		if k.name, err = nameIn(body); err != nil {
			refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
	}
	if a, err := c.get(r.Context(), k); err != nil {
		unanswered(w, err)
		return
	} else if a != nil && (r.Method != http.MethodPost || a.code != http.StatusNotFound) {
		tell(w, *a)
		return
	}
	code, o, err := c.write(r, k, body)
	var no *refusal
	switch {
	case errors.As(err, &no):
		refuse(w, no.code, no.reason, no.message)
	case err != nil:
		refuse(w, http.StatusInternalServerError, "InternalError", err.Error())
	case o == nil:
		absent(w, k)
	default:
		show(w, code, o)
	}
}

// protobufMark is what bodies in the protobuf of Kubernetes begin with, in which
// client-go writes built-in kinds.
// Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
const protobufMark = "k8s\x00"

// plain is the body of a request as JSON.
func plain(body []byte) ([]byte, error) {
	if !bytes.HasPrefix(body, []byte(protobufMark)) {
		return body, nil
	}
	typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, err
	}
	typed.GetObjectKind().SetGroupVersionKind(*kind)
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return nil, err
	}
	// Go types write what was not sent.
	if meta, ok := o["metadata"].(object); ok && meta["creationTimestamp"] == nil {
		delete(meta, "creationTimestamp")
	}
	delete(o, "status")
	return json.Marshal(o)
}

func nameIn(body []byte) (string, error) {
	var o struct {
		Metadata struct{ Name string }
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return "", err
	}
	if o.Metadata.Name == "" {
		return "", errors.New("the object has no name")
	}
	return o.Metadata.Name, nil
}

// write returns the object as it is stored then, nil where there is none.
func (c *Copy) write(r *http.Request, k key, body []byte) (code int, after object, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.otherVersion(k.kind); other != "" {
		return 0, nil, bad("the rehearsal's copy holds %s in version %s and cannot take a write in %s", k.kind, other, k.kind.version)
	}
	before := c.objects[k]
	by := kubeclient.FieldManager // nobody else has the token
	verb, code := "update", http.StatusOK
	switch {
	case r.Method == http.MethodPost && before != nil:
		return 0, nil, &refusal{http.StatusConflict, "AlreadyExists", fmt.Sprintf("%s %q already exists", k.kind, k.name)}
	case r.Method == http.MethodPost:
		verb, code = "create", http.StatusCreated
		after, err = decode(body)
	case before == nil:
		return 0, nil, nil
	case r.Method == http.MethodDelete:
		if err := preconditions(body, before); err != nil {
			return 0, nil, err
		}
		c.put(k, "delete", by, nil)
		c.react(k, before, nil)
		return http.StatusOK, before, nil
	case r.Method == http.MethodPut:
		after, err = decode(body)
	case r.Method == http.MethodPatch:
		verb = "patch"
		after, err = patched(before, body, types.PatchType(r.Header.Get("Content-Type")))
	default:
		return 0, nil, &refusal{http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method + " is not for objects"}
	}
	if err != nil {
		var no *refusal
		if errors.As(err, &no) {
			return 0, nil, err
		}
		return 0, nil, bad("%v", err)
	}
	if r.URL.Query().Get("fieldValidation") == metav1.FieldValidationStrict {
		if err := strict(after, verb); err != nil {
			return 0, nil, err
		}
	}
	if err := c.admit(k, before, after); err != nil {
		return 0, nil, err
	}
	if before != nil && same(before, after) {
		return code, before, nil // as the API server does: nothing is written
	}
	c.put(k, verb, by, after)
	c.react(k, before, after)
	return code, c.objects[k], nil
}

// preconditions are those of a deletion.
func preconditions(body []byte, before object) error {
	var opts metav1.DeleteOptions
	if len(body) > 0 {
		if err := json.Unmarshal(body, &opts); err != nil {
			return bad("%v", err)
		}
	}
	p := opts.Preconditions
	switch {
	case p == nil:
	case p.UID != nil && string(*p.UID) != text(before, "metadata", "uid"):
		return conflict("the UID in the precondition (%s) is not that of the object (%s)", *p.UID, text(before, "metadata", "uid"))
	case p.ResourceVersion != nil && *p.ResourceVersion != text(before, "metadata", "resourceVersion"):
		return conflict("the ResourceVersion in the precondition (%s) is not that of the object (%s)", *p.ResourceVersion, text(before, "metadata", "resourceVersion"))
	}
	return nil
}

// patched is an object with a patch applied. A JSON Patch that does not apply is
// the 422 without details that package kubeclient knows.
// Source: k8s.io/apiserver pkg/endpoints/handlers/patch.go jsonPatcher.
func patched(before object, patch []byte, how types.PatchType) (object, error) {
	raw, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	switch how {
	case types.JSONPatchType:
		p, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			return nil, err
		}
		if raw, err = p.Apply(raw); err != nil {
			return nil, &refusal{http.StatusUnprocessableEntity, "", err.Error()}
		}
	case types.MergePatchType:
		if raw, err = jsonpatch.MergePatch(raw, patch); err != nil {
			return nil, err
		}
	default:
		return nil, &refusal{http.StatusUnsupportedMediaType, "UnsupportedMediaType", "the rehearsal's copy takes JSON Patch and merge patch, not " + string(how)}
	}
	return decode(raw)
}

// admit checks what is to be stored and fills in what the server does.
func (c *Copy) admit(k key, before, after object) error {
	if k.namespace != "" {
		set(after, k.namespace, "metadata", "namespace")
	}
	for _, field := range []string{"annotations", "labels", "finalizers"} {
		if v, _, _ := unstructured.NestedFieldNoCopy(after, "metadata", field); isEmpty(v) {
			unstructured.RemoveNestedField(after, "metadata", field) // as the server stores it
		}
	}
	if before == nil {
		set(after, string(uuid.NewUUID()), "metadata", "uid")
		set(after, c.now().UTC().Format(time.RFC3339), "metadata", "creationTimestamp")
		set(after, int64(1), "metadata", "generation")
		return nil
	}
	have, want := text(before, "metadata", "resourceVersion"), text(after, "metadata", "resourceVersion")
	if want != "" && want != have {
		return conflict("the object has been modified; please apply your changes to the latest version and try again")
	}
	for _, field := range []string{"uid", "creationTimestamp", "name"} {
		if a, b := text(before, "metadata", field), text(after, "metadata", field); a != b {
			return &refusal{http.StatusUnprocessableEntity, "Invalid", "metadata." + field + ": field is immutable"}
		}
	}
	if generation, counted, _ := unstructured.NestedInt64(before, "metadata", "generation"); counted && !same(matter(before), matter(after)) {
		set(after, generation+1, "metadata", "generation")
	}
	return nil
}

func isEmpty(v any) bool {
	switch x := v.(type) {
	case object:
		return len(x) == 0
	case []any:
		return len(x) == 0
	}
	return false
}

// strict refuses fields that a kind known to client-go does not have. To a patch
// the server says so by the same code as to one that does not apply.
func strict(o object, verb string) error {
	gvk := schema.FromAPIVersionAndKind(text(o, "apiVersion"), text(o, "kind"))
	if !scheme.Scheme.Recognizes(gvk) {
		return nil // a custom resource, whose schema only the real server checks
	}
	typed, err := scheme.Scheme.New(gvk)
	if err != nil {
		return err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o, typed, true); err != nil {
		if verb == "patch" {
			return &refusal{http.StatusUnprocessableEntity, "Invalid", fmt.Sprintf("strict decoding error: %v", err)}
		}
		return bad("strict decoding error: %v", err)
	}
	return nil
}
