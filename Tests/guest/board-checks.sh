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
# record CHANNEL FILE: an encoder's stream, until twenty pictures more are coded
record() {
  cat "/mpi/$1/stream" >"$2" 2>/dev/null &
  reader=$!
  coded=$(value "$1/stats" frames_out)
  becomes "$1 codes twenty pictures" 20 "[ \"\$(value $1/stats frames_out)\" -gt $((coded + 20)) ] && [ -s $2 ]"
  kill $reader
  wait $reader 2>/dev/null
}
