#!/bin/sh
# Sees to it that an image can be built and run here: with Docker where its engine runs, else with podman, which it
# installs where it may. Where it can't be, says why, and ends with 1.
set -eu
tools="podman runc debootstrap slirp4netns"
cannot() { echo "no image can be built here: $1" >&2; exit 1; }

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then exit; fi
[ "$(id -u)" = 0 ] || cannot "Docker's engine doesn't run, and podman stands in for it only as root"
# Within a container even root may be kept from it.
groups=/sys/fs/cgroup
[ ! -d $groups/memory ] || groups=$groups/memory # the first version of control groups
{ unshare --mount --uts --ipc --pid --fork mount -t tmpfs none /mnt \
  && mkdir $groups/deltabar && rmdir $groups/deltabar; } 2>/dev/null \
  || cannot "root may make no namespaces, mounts or control groups, so that no container can run"
missing=""
for each in $tools; do command -v "$each" >/dev/null || missing="$missing $each"; done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || cannot "install Docker, or$missing"
install() { DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing >&2; }
install || { apt-get update >&2 && install; } || cannot "apt-get couldn't install$missing"
