#!/usr/bin/env bash
# Installs the AWS CLI with the botocore of the tests' moto in a virtual
# environment of its own and prints the folder of its programs: the comparison
# needs it, and noren does not.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${NOREN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/noren-test}
target=$cache/bench-aws-1.45.11

if [[ ! -e $target/.complete ]]; then
  rm -rf "$target"
  mkdir -p "$cache"
  python3 -m venv "$target" >&2
  "$target/bin/pip" install --quiet --disable-pip-version-check -c "$here/../../moto/requirements.txt" awscli==1.45.11 boto3==1.43.11 >&2
  touch "$target/.complete"
fi
echo "$target/bin"
