#!/usr/bin/env bash
# Looks for known vulnerabilities that noren's code can reach. Findings fail.
# Where the database cannot be reached it says so loudly and goes on, since a
# machine without that connection could not test anything else either.
# NOREN_VULN_REQUIRED=1 makes that a failure too: releases set it.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$(tools/install.sh)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
"$tools/govulncheck" ./... 2>&1 | tee "$log" || status=$?
if ((status == 0)); then exit 0; fi
if ((status == 3)); then
  echo "vuln: there are findings, see above" >&2
  exit 1
fi
if grep -q -e 'fetching vulnerabilities' -e 'no such host' -e 'connection refused' -e 'i/o timeout' "$log"; then
  echo
  echo "##############################################################################"
  echo "## NOT CHECKED: the vulnerability database cannot be reached from here.      ##"
  echo "## Run 'make vuln' where vuln.go.dev answers before you release.             ##"
  echo "##############################################################################"
  exit "${NOREN_VULN_REQUIRED:-0}"
fi
echo "vuln: govulncheck failed with status $status" >&2
exit 1
