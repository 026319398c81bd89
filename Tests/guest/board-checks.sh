# shellcheck shell=dash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# What scripts under the guest's busybox count their checks with; sourced, after which the program is to be at /mpi.
passed=0
failed=0
ok() {
  echo "ok    $1"
  passed=$((passed + 1))
}
bad() {
  echo "FAIL  $1"
  failed=$((failed + 1))
}
# is WHAT GOT WANTED
is() { if [ "$2" = "$3" ]; then ok "$1: $2"; else bad "$1: $2, want $3"; fi; }
# value FILE KEY: of a `key: value` node
value() { sed -n "s/^$2: //p" "/mpi/$1"; }
# So many times what something takes on a machine that has time for this one is waited for it.
patience=6
# until_true SECONDS CONDITION: asks ten times a second
until_true() {
  n=$(($1 * patience * 10))
  while [ $n -gt 0 ]; do
    eval "$2" 2>/dev/null && return 0
    sleep 0.1
    n=$((n - 1))
  done
  return 1
}
# becomes WHAT SECONDS CONDITION
becomes() { if until_true "$2" "$3"; then ok "$1"; else bad "$1: not within $(($2 * patience)) s"; fi; }
# put FILE VALUE: a setting. One that is not answered in time may never be made, so it is written again.
put() {
  until_true 10 "(echo '$2' >'/mpi/$1') 2>/dev/null" || bad "$2 > $1 was refused: $(tail -n 1 /mpi/error_log)"
}
# nothing_stands: what is enabled moves. A machine that has just stood still itself may be told of first.
nothing_stands() { becomes "nothing stands still" 10 '! grep -qE ": (failed|waiting)|, still for " /mpi/health'; }
# record CHANNEL FILE: an encoder's stream, from the moment its reader is there until it has twenty pictures, and whole
record() {
  cat "/mpi/$1/stream" >"$2" 2>/dev/null &
  reader=$!
  becomes "$1 has a reader" 20 "[ \"\$(value $1/stats readers)\" -gt 0 ]"
  coded=$(value "$1/stats" frames_out)
  becomes "$1 codes twenty pictures" 20 "[ \"\$(value $1/stats frames_out)\" -gt $((coded + 20)) ]"
  # The reader gets all that was coded for it, and then the end.
  put "$1/enable" 0
  wait $reader 2>/dev/null
  put "$1/enable" 1
}
