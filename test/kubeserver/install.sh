#!/usr/bin/env bash
# Builds the API server for tests and collects the CRDs that it offers.
#
#   install.sh          install what is missing, then print the folder
#   install.sh --where  print the folder only, installed or not
#
# The folder lies outside the source tree, in $NOREN_TEST_CACHE (by default
# ${XDG_CACHE_HOME:-$HOME/.cache}/noren-test), under a name that depends on the
# sources of this module. It holds:
#
#   noren-test-kube            the server
#   crds/<product>-<version>/  the CRDs of each line of crds.txt and crdtypes.txt
#   crds/<product>-<alias>     a link to one of those
#
# Needs Go and GNU coreutils. The first build takes minutes.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${NOREN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/noren-test}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# sources_hash prints a hash of all that decides what is installed.
sources_hash() {
  (cd "$here" && sha256sum go.mod go.sum ./*.go crds.txt crdtypes.txt install.sh) | sha256sum | cut -c1-16
}

# build_server builds the server into the folder $1. The version is set the way
# Kubernetes sets it for its releases, so that /version tells the truth.
build_server() {
  local version major minor pkg=k8s.io/component-base/version
  version=$(cd "$here" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${version#v}"
  (cd "$here" && go build -o "$1/noren-test-kube" -ldflags "-s -w \
    -X $pkg.gitVersion=$version -X $pkg.gitMajor=$major -X $pkg.gitMinor=$minor" .)
}

# module_dir prints the folder in which the Go module $1 lies unpacked. It runs
# outside any module, so that no go.mod has a say in it.
module_dir() {
  cd /
  export GOFLAGS=-mod=mod GOWORK=off
  go mod download "$1" >&2 || fail "cannot download $1: check the Go module proxy, and the version in crds.txt"
  go list -m -f '{{.Dir}}' "$1"
}

# install_crds copies the sets that crds.txt names into the folder $1.
install_crds() {
  local product alias version module folder files source set
  while read -r product alias version module folder files; do
    source=$(module_dir "$module@$version")
    set=$1/$product-$version
    mkdir -p "$set"
    # shellcheck disable=SC2086 # a pattern, to be expanded
    install -m 0644 "$source/$folder"/${files:-*.yaml} "$set/"
    rm -f "$set/kustomization.yaml"
    ln -s "$product-$version" "$1/$product-$alias"
  done < <(grep -v -e '^#' -e '^$' "$here/crds.txt")
}

# generate_crds makes the sets that crdtypes.txt names in the folder $1.
generate_crds() {
  local product alias version module folder source
  while read -r product alias version module folder; do
    source=$(module_dir "$module@$version")
    (cd "$source" && GOWORK=off go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.21.0 \
      crd "paths=./$folder" "output:crd:dir=$1/$product-$version") >&2
    ln -s "$product-$version" "$1/$product-$alias"
  done < <(grep -v -e '^#' -e '^$' "$here/crdtypes.txt")
}

# install_into fills a fresh folder and puts it at $1 in one step, so that
# $1 is never half done and calls at the same time do not disturb each other.
install_into() {
  mkdir -p "$cache"
  fresh=$(mktemp -d "$cache/.kubeserver.XXXXXX") # not local: the trap needs it
  trap 'rm -rf "$fresh"' EXIT
  build_server "$fresh"
  install_crds "$fresh/crds"
  generate_crds "$fresh/crds"
  chmod 0755 "$fresh"
  # -T fails where another call was faster; its folder is as good as this one.
  mv -T "$fresh" "$1" 2>/dev/null || [[ -x $1/noren-test-kube ]] || fail "cannot make $1: check the rights of $cache"
}

target=$cache/kubeserver-$(sources_hash)
case ${1-} in
  --where) ;;
  "") [[ -x $target/noren-test-kube ]] || (install_into "$target") ;;
  *) fail "unknown argument $1; run it as install.sh or install.sh --where" ;;
esac
echo "$target"
