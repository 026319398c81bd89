# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What scenarios of the guest share: counting checks, looking at the tree. Sourced by bash scripts beside it.

mpi=/mpi
passed=0
failed=0

# check NAME COMMAND...: one fact; what the command prints is shown when it fails.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
    printf 'ok    %s\n' "$name"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n%s\n' "$name" "$output"
  fi
}

# The last words of a scenario, and its exit status.
finish() {
  printf '%s: %d checks passed, %d failed\n' "$1" $passed $failed
  ((failed == 0 && passed > 0))
}

# Waits until a command succeeds, at most so many seconds of the guest's time.
wait_until() {
  local deadline=$(($(date +%s) + $1))
  shift
  until "$@"; do
    (($(date +%s) < deadline)) || return 1
    sleep 0.2
  done
}

# start_program OPTION...: serves the tree at /mpi with these options, sets `program` to its process.
start_program() {
  mkdir -p $mpi
  ./mpifs --at $mpi "$@" >/tmp/mpifs.log 2>&1 &
  program=$!
  wait_until 20 grep -q '^mpifs: serving' /tmp/mpifs.log || { cat /tmp/mpifs.log; return 1; }
}

# A `key: value` line of a page.
value() { sed -n "s/^ *$2: //p" "$mpi/$1"; }
has() { grep -qF -- "$2" "$mpi/$1" || { cat "$mpi/$1"; return 1; }; }
is() { [[ $1 == "$2" ]] || { printf 'got %s, want %s\n' "$1" "$2"; return 1; }; }
near() { (($1 >= $2 - $3 && $1 <= $2 + $3)) || { printf 'got %s, want %s, give or take %s\n' "$1" "$2" "$3"; return 1; }; }
at_least() { (($(value "$1" "$2") >= $3)) || { value "$1" "$2"; return 1; }; }
put() { printf '%s\n' "$2" >"$mpi/$1"; }

# A write that must fail, with a line in error_log that says why.
refused() {
  put error_log clear
  if put "$1" "$2" 2>/dev/null; then
    printf '%s was taken\n' "$2"
    return 1
  fi
  has error_log "$3"
}

# Minor number of a device node, as the kernel's trace points name it.
minor() { printf '%d' "0x$(stat -c %T "$1")"; }
