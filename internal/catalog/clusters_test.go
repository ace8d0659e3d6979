package catalog

import (
	"maps"
	"slices"
	"testing"
)

// TestClusters: one cluster's sections are its own, and one Ingress may be in
// each of them.
func TestClusters(t *testing.T) {
	t.Parallel()
	c, err := Parse("noren.yaml", []byte(`
version: 1
zone: Asia/Tokyo
environments:
  prod:
    argocd: {context: tools}
    clusters:
      tokyo: {kube: {context: t}}
      osaka:
        kube: {context: o}
        argocd:
services:
  shop:
    entrances:
      - {kind: kube/ingress, name: shop/web, cluster: tokyo, strategy: overlay}
      - {kind: kube/ingress, name: shop/web, cluster: osaka}
`), known())
	if err != nil {
		t.Fatal(err)
	}
	env := c.Environments[0]
	var got []string
	for _, cluster := range env.Clusters {
		for _, name := range slices.Sorted(maps.Keys(cluster.Configs())) {
			got = append(got, cluster.Name+" "+name+" "+string(cluster.Configs()[name]))
		}
	}
	want := []string{`tokyo kube {"context":"t"}`, `osaka argocd {}`, `osaka kube {"context":"o"}`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	services, err := c.Services("prod")
	if err != nil {
		t.Fatal(err)
	}
	doors := services[0].Entrances
	if len(doors) != 2 || doors[0].Cluster != "tokyo" || doors[1].Cluster != "osaka" || string(doors[0].Options.JSON) != `{"strategy":"overlay"}` {
		t.Errorf("got %+v", doors)
	}
}
