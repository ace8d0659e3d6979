#!/usr/bin/env bash
# Installs moto, which speaks the wire format of AWS's services, in a virtual
# environment of its own and prints the folder of its programs.
#
# The folder lies outside the source tree, in $NOREN_TEST_CACHE (by default
# ${XDG_CACHE_HOME:-$HOME/.cache}/noren-test), under a name that depends on the
# pins and on the version of Python. Needs Python 3 with venv.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${NOREN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/noren-test}
hash=$( (cat "$here/requirements.txt" "$here/install.sh" && python3 --version) | sha256sum | cut -c1-16)
target=$cache/moto-$hash

if [[ ! -e $target/.complete ]]; then
  mkdir -p "$cache"
  # A virtual environment knows its own path, so that it cannot be moved: of two
  # calls at the same time, one waits.
  exec 9>"$cache/.moto.lock"
  flock 9
  if [[ ! -e $target/.complete ]]; then
    rm -rf "$target"
    echo "installing moto; this takes half a minute, once" >&2
    python3 -m venv "$target" >&2
    "$target/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
    touch "$target/.complete"
  fi
fi
echo "$target/bin"
