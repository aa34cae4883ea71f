#!/bin/sh
# Builds the image deltabar:TARGET: `sh docker/image.sh cpu` or `gpu`. With Docker where its engine runs, else with
# podman, as root; then on a base from docker/base.sh, unless the variable BASE names another.
set -eu
began=$(date +%s)
told() { echo "$1: $(($(date +%s) - began)) s" >&2; began=$(date +%s); }
cd "$(dirname "$0")/.."
target=$1
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
set -- --file docker/Dockerfile --target "$target" --tag "deltabar:$target" --build-arg "REVISION=$revision"

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  docker build ${BASE:+--build-arg "BASE=$BASE"} "$@" .
  told "the image deltabar:$target"
  exit
fi
command -v podman >/dev/null || { echo 'An image needs Docker, or podman: `make image` installs it' >&2; exit 1; }
if [ -z "${BASE:-}" ]; then
  BASE=localhost/deltabar-base
  podman image exists $BASE || { sh docker/base.sh $BASE; told "its base"; }
fi
# Without systemd, a daemon or user namespaces, as within a container or a small virtual machine.
podman --cgroup-manager cgroupfs --runtime runc build --pull=never --format docker --network host \
  --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --build-arg "BASE=$BASE" "$@" .
told "the image deltabar:$target"
