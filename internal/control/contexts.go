package control

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// A KubeContext is a context of a kubeconfig, and what the environment behind
// it is probably called.
type KubeContext struct {
	Name        string
	Current     bool
	Environment string
	Protected   bool
}

// KubeContexts lists the contexts of a kubeconfig by name; "" is the one that
// kubectl would use. It asks no cluster.
func KubeContexts(kubeconfig string) ([]KubeContext, error) {
	names, current, err := kubeclient.Contexts(kubeconfig)
	if err != nil {
		return nil, err
	}
	var all []KubeContext
	for _, name := range names {
		env, protected := GuessEnvironment(name)
		all = append(all, KubeContext{Name: name, Current: name == current, Environment: env, Protected: protected})
	}
	return all, nil
}

// Words in the names of contexts, in the order in which they are tried:
// "nonprod" holds "prod", and is none.
var environmentWords = []struct {
	name string
	in   *regexp.Regexp
}{
	{"nonprod", regexp.MustCompile(`non[-_.]?prod`)},
	{"preprod", regexp.MustCompile(`pre[-_.]?prod`)},
	{"prod", regexp.MustCompile(`prod|(^|[^a-z])prd([^a-z]|$)`)},
	{"sandbox", regexp.MustCompile(`sandbox|sbx`)},
	{"qa", regexp.MustCompile(`(^|[^a-z])qa([^a-z]|$)`)},
	{"staging", regexp.MustCompile(`staging|(^|[^a-z])stg([^a-z]|$)`)},
	{"dev", regexp.MustCompile(`(^|[^a-z])dev`)},
}

// GuessEnvironment names the environment behind a context, and tells whether
// it looks like one to be careful with: every name with "prod" in it does.
func GuessEnvironment(context string) (name string, protected bool) {
	lower := strings.ToLower(context)
	protected = strings.Contains(lower, "prod")
	for _, w := range environmentWords {
		if w.in.MatchString(lower) {
			return w.name, protected || w.name == "prod"
		}
	}
	// Cloud providers write whole resource names: the last part is the cluster.
	last := context[strings.LastIndexAny(context, "/:@")+1:]
	if name = catalog.Name(last); name == "" {
		name = "default"
	}
	return name, protected
}

// configsOf is each driver's configuration as it decodes it.
func configsOf(drivers map[string]map[string]any) (map[string]json.RawMessage, error) {
	configs := map[string]json.RawMessage{}
	for name, values := range drivers {
		raw, err := json.Marshal(values)
		if err != nil {
			return nil, fmt.Errorf("%s: configuration: %w", name, err)
		}
		configs[name] = raw
	}
	return configs, nil
}
