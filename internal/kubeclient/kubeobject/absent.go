package kubeobject

import (
	"fmt"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// Absent is the answer that an entrance is not in its environment. It suggests
// the nearest of the keys ("namespace/name") that are. word is what errors call
// such an object, list what kubectl lists.
func Absent(word, key, environment, list string, have []string) *fault.Fault {
	f := &fault.Fault{Code: fault.NotFound, Summary: strings.ToLower(word) + " does not exist",
		Detail: fmt.Sprintf("There is no %s %s in environment %s.", word, key, environment),
		Try:    []string{"kubectl get " + list + " --all-namespaces"}}
	if near := fault.Nearest(key, have); near != "" {
		f.Detail += fmt.Sprintf(" Did you mean %s?", near)
	}
	return f
}
