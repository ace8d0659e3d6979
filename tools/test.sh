#!/usr/bin/env bash
# Runs the tests of noren and ends with "N passed, M failed".
#
#   test.sh             every package; those of tools/race.txt under the race detector
#   test.sh PACKAGE...  these packages, under the race detector
#
# $TESTFLAGS is passed to go test. A skip fails unless tools/skips.txt lists it.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$(tools/install.sh)
PATH=$(test/kubeserver/install.sh):$PATH
export PATH
read -ra flags <<<"${TESTFLAGS-}"

# events runs both kinds of packages, and goes on to the second when a test of
# the first fails: testreport says in the end that it did.
events() {
  local racy calm
  if (($# > 0)); then
    racy=$(go list "$@")
    calm=
  else
    # -e, since a package that does not compile must be a failure, not an end.
    racy=$(grep -v -e '^#' -e '^$' tools/race.txt | xargs go list -e)
    calm=$(go list -e ./... | grep -vxF "$racy" || true)
  fi
  # shellcheck disable=SC2086 # lists of packages
  if [[ -n $racy ]]; then go test -json -race -timeout 25m "${flags[@]}" $racy || true; fi
  # shellcheck disable=SC2086
  if [[ -n $calm ]]; then go test -json -timeout 25m "${flags[@]}" $calm || true; fi
}

events "$@" | "$tools/testreport" -skips tools/skips.txt
