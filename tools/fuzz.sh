#!/usr/bin/env bash
# Runs every fuzz target for a short time ($FUZZTIME, 10s by default): enough
# to find what is wrong at the first glance, and to keep the targets alive.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/.."
found=0
while IFS=: read -r file target; do
  found=1
  target=${target#func }
  target=${target%%(*}
  echo "== $target in $(dirname "$file")"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "./$(dirname "$file")"
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' cmd internal test examples | sort)
if ((found == 0)); then echo "no fuzz targets"; fi
