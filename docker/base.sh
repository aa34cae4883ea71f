#!/bin/sh
# Makes a base image for a machine that reaches no image registry: Debian with Python, by debootstrap, as root.
#   sh docker/base.sh NAME
# Its file system is kept in the user's folder for caches. What this machine needs to reach Debian's and Python's
# packages, its certificates and pip's configuration, goes in here, and so never into the Dockerfile.
set -eu
name=$1
kept=${XDG_CACHE_HOME:-$HOME/.cache}/deltabar/base.tar
suite=bookworm

if [ ! -f "$kept" ]; then
  mkdir -p "$(dirname "$kept")"
  root=$(mktemp -d "$kept.XXXXXX")
  trap 'rm -rf "$root" "$kept.new"' EXIT
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates $suite "$root" >&2
  # What the slim images leave out, too.
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/*
  tar --create --file "$kept.new" --directory "$root" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' .
  mv "$kept.new" "$kept"
fi

configuration=$(mktemp -d)
trap 'rm -rf "$configuration" ${root:+"$root"}' EXIT
mkdir -p "$configuration/etc/ssl/certs"
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$configuration/etc/ssl/certs/ca-certificates.crt"
# Folders of this machine mean nothing within, and a file of constraints is the Dockerfile's to choose.
{
  echo "[global]"
  echo "cert = /etc/ssl/certs/ca-certificates.crt"
  python3 -m pip config list | sed -n -E \
    "s/^(global|:env:)\.(index-url|trusted-host|proxy|timeout|default-timeout)='(.*)'$/\2 = \3/p" | sed '/file:/d' | sort -u
} > "$configuration/etc/pip.conf"
{ cat "$kept"; } | podman import --quiet - "$name-bare" >/dev/null
printf 'FROM %s-bare\nCOPY . /\n' "$name" > "$configuration/Dockerfile"
mv "$configuration/Dockerfile" "$configuration.Dockerfile"
podman build --quiet --pull=never --format docker --file "$configuration.Dockerfile" --tag "$name" "$configuration" >/dev/null
rm "$configuration.Dockerfile"
