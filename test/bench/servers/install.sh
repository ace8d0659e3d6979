#!/usr/bin/env bash
# Puts nginx, Caddy and wrk of this Debian's or Ubuntu's archive, which fixes
# their versions, into a cache without installing them (an installed server would
# start), and prints the folder. The tables say which versions they were.
set -euo pipefail

cache="${NOREN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/noren-test}/bench-servers"
if [[ ! -e $cache/ready ]]; then
  command -v apt-get >/dev/null || { echo "the comparison of gates needs apt-get, for nginx, caddy and wrk" >&2; exit 1; }
  mkdir -p "$cache/deb"
  (
    cd "$cache/deb"
    apt-get -qq download nginx caddy wrk libluajit-5.1-2 2>/dev/null || {
      sudo=
      if ((EUID != 0)); then sudo=sudo; fi
      $sudo apt-get update -qq
      apt-get -qq download nginx caddy wrk libluajit-5.1-2 2>/dev/null
    }
    for package in ./*.deb; do dpkg-deb -x "$package" "$cache"; done
  ) >&2
  touch "$cache/ready"
fi
echo "$cache"
