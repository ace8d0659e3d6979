package argocd

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The names that Argo CD uses, the same in every version from 2.0 to 3.6.
// Source: https://github.com/argoproj/argo-cd,
// pkg/apis/application/v1alpha1/application_annotations.go and common/common.go.
const (
	refreshAnnotation = "argocd.argoproj.io/refresh"
	skipAnnotation    = "argocd.argoproj.io/skip-reconcile"
)

const (
	group    = "argoproj.io"
	version  = "v1alpha1"
	resource = "applications." + group
)

var applications = schema.GroupVersionResource{Group: group, Version: version, Resource: "applications"}

// An application is what noren reads of an Argo CD Application.
type application struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		SyncPolicy        *syncPolicy  `json:"syncPolicy"`
		IgnoreDifferences []difference `json:"ignoreDifferences"`
	} `json:"spec"`
	Operation *operation `json:"operation"`
	Status    status     `json:"status"`
}

// A syncPolicy is spec.syncPolicy. Automated is nil where absent.
type syncPolicy struct {
	Automated   json.RawMessage `json:"automated"`
	SyncOptions []string        `json:"syncOptions"`
	Retry       json.RawMessage `json:"retry"`
}

type operation struct {
	InitiatedBy struct {
		Username  string `json:"username"`
		Automated bool   `json:"automated"`
	} `json:"initiatedBy"`
	Info []info `json:"info"`
}

type info struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type status struct {
	ReconciledAt   time.Time       `json:"reconciledAt"`
	OperationState *operationState `json:"operationState"`
	Sync           struct {
		Status   string `json:"status"`
		Revision string `json:"revision"`
	} `json:"sync"`
	Health struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	} `json:"health"`
	Resources  []managed   `json:"resources"`
	Conditions []condition `json:"conditions"`
}

type operationState struct {
	Phase     string    `json:"phase"`
	Message   string    `json:"message"`
	StartedAt time.Time `json:"startedAt"`
	Operation operation `json:"operation"`
}

type managed struct {
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace"`
	Name            string `json:"name"`
	Status          string `json:"status"`
	RequiresPruning bool   `json:"requiresPruning"`
}

type condition struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

func read(u *unstructured.Unstructured) (*application, error) {
	raw, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	a := &application{}
	if err := json.Unmarshal(raw, a); err != nil {
		return nil, fmt.Errorf("the Application %s/%s is not as Argo CD 2 and 3 write it: %w", u.GetNamespace(), u.GetName(), err)
	}
	return a, nil
}

// automated is spec.syncPolicy.automated as it is, nil where absent.
func (a *application) automated() json.RawMessage {
	if a.Spec.SyncPolicy == nil || string(a.Spec.SyncPolicy.Automated) == "null" {
		return nil
	}
	return a.Spec.SyncPolicy.Automated
}

// automation is how Argo CD reads spec.syncPolicy.automated.
type automation struct {
	Enabled    *bool `json:"enabled"`
	Prune      bool  `json:"prune"`
	SelfHeal   bool  `json:"selfHeal"`
	AllowEmpty bool  `json:"allowEmpty"`
}

// automationOf tells whether automated sync is on, and how. It is on where
// automated is present, even empty, unless enabled is false.
// Source: IsAutomatedSyncEnabled in pkg/apis/application/v1alpha1/types.go.
func automationOf(automated json.RawMessage) (how automation, on bool) {
	if len(automated) == 0 || json.Unmarshal(automated, &how) != nil {
		return automation{}, false
	}
	return how, how.Enabled == nil || *how.Enabled
}

// sameJSON compares by value. nil, an absent value, is only equal to itself.
func sameJSON(a, b json.RawMessage) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// shown is automated in a sentence.
func shown(automated json.RawMessage) string {
	if len(automated) == 0 {
		return "absent"
	}
	return string(automated)
}
