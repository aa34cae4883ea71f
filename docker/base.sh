#!/bin/sh
# Makes a base image for a machine that reaches no image registry: Debian with Python, by debootstrap, as root.
#   sh docker/base.sh NAME
# Its file system is kept in the user's folder for caches. What this machine needs to reach Debian's and Python's
# packages, its certificates and pip's configuration, goes in here, and so never into the Dockerfile.
set -eu
name=$1
kept=${XDG_CACHE_HOME:-$HOME/.cache}/deltabar/base.tar
suite=bookworm
work=$(mktemp -d)
clean() {
  umount --recursive "$work/root" 2>/dev/null || true
  rm -rf "$work" "$kept.new"
}
trap clean EXIT

if [ ! -f "$kept" ]; then
  root=$work/root
  mkdir -p "$(dirname "$kept")" "$root"
  # dpkg waits for the disk after each file; in memory there is none to wait for, where it may be mounted.
  mount -t tmpfs -o size=1g,mode=755 tmpfs "$root" || true
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates $suite "$root" >&2
  # What the slim images leave out, too.
  rm -rf "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/lib/apt/lists/* "$root"/var/log/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/*
  find "$root" -name __pycache__ -prune -exec rm -r {} +
  tar --create --file "$kept.new" --directory "$root" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' .
  mv "$kept.new" "$kept"
fi

mkdir -p "$work/ours/etc/ssl/certs"
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$work/ours/etc/ssl/certs/ca-certificates.crt"
# Folders of this machine mean nothing within, and a file of constraints is the Dockerfile's to choose.
{
  echo "[global]"
  echo "cert = /etc/ssl/certs/ca-certificates.crt"
  python3 -m pip config list | sed -n -E \
    "s/^(global|:env:)\.(index-url|trusted-host|proxy|timeout|default-timeout)='(.*)'$/\2 = \3/p" | sed '/file:/d' | sort -u
} > "$work/ours/etc/pip.conf"
{ cat "$kept"; } | podman import --quiet - "$name-bare" >/dev/null
printf 'FROM %s-bare\nCOPY . /\n' "$name" > "$work/Dockerfile"
podman build --quiet --pull=never --format docker --file "$work/Dockerfile" --tag "$name" "$work/ours" >/dev/null
