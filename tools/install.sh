#!/usr/bin/env bash
# Builds the tools pinned in tools/go.mod and prints the folder they are in.
# The folder lies outside the source tree, in $NOREN_TEST_CACHE (by default
# ${XDG_CACHE_HOME:-$HOME/.cache}/noren-test), under a name that depends on the
# pins and on the version of Go. The first build takes minutes.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${NOREN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/noren-test}
hash=$( (cd "$here" && cat go.mod go.sum testreport/main.go && go env GOVERSION) | sha256sum | cut -c1-16)
target=$cache/tools-$hash

if [[ ! -d $target ]]; then
  mkdir -p "$cache"
  fresh=$(mktemp -d "$cache/.tools.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  echo "building the tools of tools/go.mod; this takes minutes, once" >&2
  (cd "$here" && GOBIN=$fresh CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' tool ./testreport) >&2
  chmod 0755 "$fresh"
  # -T fails where another call was faster; its folder is as good as this one.
  mv -T "$fresh" "$target" 2>/dev/null || [[ -d $target ]]
fi
echo "$target"
