#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts the mpifs that was unpacked together with this script, with the options given (--help lists them).
#
# It runs on the bundle's own loader, C library and other libraries, so the board's may be of any age and kind. Any POSIX
# shell will do, busybox's too.
set -eu

built_for=@ARCHITECTURE@

fail() {
  printf 'mpifs: %s\n' "$*" >&2
  exit 1
}

# The folder of this script, which may have been called through links.
self=$0
case $self in */*) ;; *) self=./$self ;; esac
while [ -L "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=${self%/*}/$target ;;
  esac
done
here=$(cd -- "${self%/*}/" && pwd -P)
case $here in *[:\;]*) fail "the folder's path must not contain ':' or ';': $here" ;; esac
[ "$(uname -m)" = "$built_for" ] || fail "this bundle was built for $built_for; this machine is $(uname -m)"

# Where the tree is to be, and whether one is wanted at all.
at=
is_served=yes
previous=
for argument in "$@"; do
  [ "$previous" != --at ] || at=$argument
  case $argument in
    --at=*) at=${argument#--at=} ;;
    --help | -h | --version) is_served=no ;;
  esac
  previous=$argument
done

has_fuse() { grep -qw fuse /proc/filesystems; }

provide_device() {
  [ ! -c /dev/fuse ] || return 0
  has_fuse || modprobe fuse 2>/dev/null || true
  has_fuse || fail "this kernel ($(uname -r)) has no FUSE: not built in, and modprobe finds no module (CONFIG_FUSE_FS)"
  # A /dev that nobody keeps up to date has no node yet.
  if [ ! -c /dev/fuse ]; then
    minor=$(sed -n 's/^ *\([0-9][0-9]*\) fuse$/\1/p' /proc/misc)
    mknod -m 600 /dev/fuse c 10 "${minor:-229}" 2>/dev/null ||
      fail "there is no /dev/fuse and it cannot be made; in a container, have it passed in (--device /dev/fuse)"
  fi
}

provide_mount_point() {
  if [ "$(id -u)" = 0 ]; then
    at=${at:-/mpi}
  elif ! command -v fusermount3 >/dev/null; then
    fail "mounting wants root, or the board's own fusermount3"
  fi
  [ -n "$at" ] || return 0
  # A dead mount of an earlier run cannot be made anew; the program takes it away.
  mkdir -p -- "$at" 2>/dev/null || grep -q " $at " /proc/mounts ||
    fail "cannot make $at (is / read-only?): say where the tree is to be, for example --at /tmp/mpi"
}

if [ $is_served = yes ]; then
  provide_device
  provide_mount_point
fi

# Boards have no fonts.
MPIFS_FONT=${MPIFS_FONT:-$here/fonts/DejaVuSans.ttf}
export MPIFS_FONT

# The loader carries the program's name, because that is what ps, pidof and killall go by.
exec "$here/lib/loader/mpifs" --inhibit-cache --library-path "$here/lib" --argv0 "$0" "$here/lib/program" "$@"
