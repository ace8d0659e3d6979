#!/usr/bin/env bash
# Shows noren's main job on this machine, with no cloud and no cluster: two
# small applications behind noren's gate are closed and opened again while
# visitors keep coming. Every command is printed before it runs; all of them
# can be repeated by hand in the directory that is named first.
set -euo pipefail

source=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$source/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/noren-demo.XXXXXX")
cleanup() {
  local status=$?
  trap - EXIT INT TERM
  jobs -p | xargs -r kill 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() {
  local word line=
  for word; do
    if [[ $word == *[[:space:]]* ]]; then word="'$word'"; fi
    line+=" $word"
  done
  printf '\033[36m$%s\033[0m\n' "$line"
  "$@"
}
until_answers() { # URL: the applications and the gate need a moment to start
  for _ in $(seq 100); do
    curl -fsS -o /dev/null "$1" 2>/dev/null && return
    sleep 0.1
  done
  echo "demo: $1 does not answer; is its port in use?" >&2
  return 1
}

(cd "$root" && go build -o "$work/bin/" ./cmd/noren ./examples/demo/apps ./examples/demo/visitors)
cp "$source/noren.yaml" "$source/gate.yaml" "$work/"
cd "$work"
exec </dev/null # on a terminal noren would ask, and there is nobody to answer
export PATH="$work/bin:$PATH" NOREN_STATE_DIR="$work/state/noren" NOREN_CONFIG="$work/noren.yaml"

say "A web shop and a JSON API, behind noren's gate (in $work)"
apps 127.0.0.1:8081 127.0.0.1:8082 &
noren gate --config gate.yaml 2>gate.log &
until_answers http://shop.localhost:8080/healthz
until_answers http://api.localhost:8080/healthz

say "Visitors come in, and keep coming"
visitors http://shop.localhost:8080/cart http://api.localhost:8080/items >visitors.txt &
visitors=$!
sleep 2 # so that there is something to see in what they saw
show curl -s http://shop.localhost:8080/cart

say "Look before anything happens"
show noren plan close --env demo --for 30m
show noren who-sees http://shop.localhost:8080/cart --env demo

say "Close, and end only when the page was seen at the front door"
show noren close --env demo --for 30m --reason "new shelves"
show noren status

say "What customers get"
show curl -si http://shop.localhost:8080/cart
echo
show curl -si http://api.localhost:8080/items
echo

say "What staff get, with the pass"
pass=$(noren status --pass --output json | sed -n 's/.*"pass":"\([^"]*\)".*/\1/p' | head -n 1)
show curl -s -H "X-Noren-Pass: $pass" http://shop.localhost:8080/cart

sleep 2
say "Open again"
show noren open --env demo
show noren status

sleep 2
kill "$visitors"
say "And the visitors, all the while:"
failures=0
wait "$visitors" || failures=$?
cat visitors.txt
exit "$failures"
