#!/usr/bin/env bash
# Runs the tests of noren and ends with "N passed, M failed".
#
#   test.sh             every package; those of tools/race.txt under the race detector
#   test.sh PACKAGE...  these packages, under the race detector
#
# $TESTFLAGS is passed to go test. A skip fails unless tools/skips.txt lists it.
set -euo pipefail
shopt -s inherit_errexit

# Tests of this name kill process after process. The race detector makes each of
# them slow to start, and has nothing to say about a process that is killed.
readonly killing='^TestKill'

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$(tools/install.sh)
PATH=$(test/kubeserver/install.sh):$(test/moto/install.sh):$PATH
export PATH
read -ra flags <<<"${TESTFLAGS-}"
failed=$(mktemp -d)/failed
trap 'rm -rf "$(dirname "$failed")"' EXIT

# gotest prints go test's events. When a test fails the next packages are tested
# all the same; the file $failed says that one did.
gotest() { go test -json -timeout 45m "$@" || touch "$failed"; }

events() {
  local racy calm
  if (($# > 0)); then
    mapfile -t racy < <(go list "$@")
    gotest -race "${flags[@]}" "${racy[@]}"
    return
  fi
  # -e, since a package that does not compile must be a failure, not an end.
  mapfile -t racy < <(grep -v -e '^#' -e '^$' tools/race.txt | xargs go list -e)
  mapfile -t calm < <(go list -e ./... | grep -vxF "$(printf '%s\n' "${racy[@]}")")
  gotest -race -skip "$killing" "${flags[@]}" "${racy[@]}"
  case " ${flags[*]} " in
    *" -run"*) ;; # what was asked for has run
    *) gotest -run "$killing" "${flags[@]}" "${racy[@]}" ;;
  esac
  gotest "${flags[@]}" "${calm[@]}"
}

events "$@" | "$tools/testreport" -skips tools/skips.txt
[[ ! -e $failed ]]
