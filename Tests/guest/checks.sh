#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts that run in the guest share; sourced by them. $mpi is where the tree is.

mpi=/mpi
passed=0
failed=0

# check NAME COMMAND...: one fact.
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

# Waits until a command succeeds, at most so many seconds of the guest's time, or six times as many where that is the host's.
wait_until() {
  local deadline=$(($(date +%s) + $1 * (${REAL_TIME:+5} + 1)))
  shift
  until "$@"; do
    (($(date +%s) < deadline)) || return 1
    sleep 0.2
  done
}

# What a command prints once it prints the same three times running: what is on its way out is gone then.
steady() {
  local last='' said='' same=0 turn
  for ((turn = 0; turn < 100 && same < 2; turn++)); do
    ((turn == 0)) || sleep 0.3
    said=$("$@")
    if [[ $said == "$last" ]]; then same=$((same + 1)); else same=0 last=$said; fi
  done
  printf '%s\n' "$said"
}

# A `key: value` line of a page.
value() { sed -n "s/^ *$2: //p" "$mpi/$1"; }
has() { grep -qF -- "$2" "$mpi/$1" || { cat "$mpi/$1"; return 1; }; }
is() { [[ $1 == "$2" ]] || { printf 'got %s, want %s\n' "$1" "$2"; return 1; }; }
# Nothing that is enabled stands still or failed; the guest's processor is too slow to lose no frame, which health says too.
moves() { ! grep -E ': (failed|waiting)|, still for ' "$1"; }
# key A of a page is key B, give or take so many; both of one moment.
near_in() {
  awk -v a="$2:" -v b="$3:" -v most="$4" '{ v[$1] = $2; text = text $0 "\n" }
    END { d = v[a] - v[b]; if ((a in v) && (b in v) && d <= most && d >= -most) exit 0; printf "%s", text; exit 1 }' "$mpi/$1"
}
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

# The block of one device.
device() { sed -n "\\#^$1\$#,/^[^ ]/p" $mpi/devices | sed '1d' | grep '^ '; }
device_says() { device "$1" | grep -qxF -- "  $2" || { device "$1"; return 1; }; }

# Starts the program and waits until it serves. Sets $program.
serve() {
  mkdir -p $mpi
  # The words of an earlier run must not be taken for this one's.
  rm -f /tmp/mpifs.log
  ./mpifs --at $mpi "$@" >/tmp/mpifs.log 2>&1 &
  program=$!
  check "it serves" wait_until 20 grep -qs '^mpifs: serving' /tmp/mpifs.log
}

has_ended() { ! kill -0 "$program" 2>/dev/null; }

# Ends the program, and prints the count of NAME.
finish() {
  kill -TERM "$program"
  check "it ends" wait_until 5 has_ended
  grep -a '^mpifs: ' /tmp/mpifs.log | grep -v serving
  tally "$1"
}

# Prints the count of NAME; the status says whether all passed.
tally() {
  printf '%s: %d checks passed, %d failed\n' "$1" $passed $failed
  ((failed == 0 && passed > 0))
}

# Minor number of a device node, as the kernel's trace points name it.
minor() { printf '%d' "0x$(stat -c %T "$1")"; }
