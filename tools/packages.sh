#!/usr/bin/env bash
# Installs the Debian packages that tests use, where they are not there yet: a
# browser that looks at pages, fonts for Japanese, Node for the client of the status
# document in TypeScript, and an Alertmanager.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
if ! command -v fc-list >/dev/null || [[ -z $(fc-list ':lang=ja' | head -n 1) ]]; then missing+=(fontconfig fonts-noto-cjk); fi
command -v curl >/dev/null || missing+=(curl)
command -v node >/dev/null || missing+=(nodejs)
command -v prometheus-alertmanager >/dev/null || command -v alertmanager >/dev/null || missing+=(prometheus-alertmanager)
if ((${#missing[@]} == 0)); then exit 0; fi

if ! command -v apt-get >/dev/null; then
  echo "please install what gives you: ${missing[*]} (names of Debian's packages)" >&2
  exit 1
fi
sudo=
if ((EUID != 0)); then sudo=sudo; fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # install servers, and start none
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
