#!/usr/bin/env bash
# Writes the generated files anew into a folder of its own and compares them
# with those in the tree.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
go run ./cmd/noren docs --out "$fresh"
if ! diff -ru docs/reference "$fresh"; then
  echo "docs/reference is not what the code says: run make generate" >&2
  exit 1
fi
