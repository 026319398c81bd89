# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Starting and stopping the program under test. Sourced, never run.

served_pid=
served_log=

# So many seconds are waited for what takes one or two: for machines that have little time for this one.
patience=120

# Waits until a command succeeds, at most so many seconds.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

# Whether a process is gone, or only waits for its parent to notice.
ended() { ! grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" 2>/dev/null; }

# serve DIRECTORY COMMAND...: starts the program in the background, sets served_pid and served_log, returns when it serves.
serve() {
  local directory=$1
  shift
  served_log=$(mktemp)
  "$@" >"$served_log" 2>&1 &
  served_pid=$!
  if ! wait_until "$patience" serves_or_ended "$directory" || ended "$served_pid"; then
    printf 'it did not get to serve %s:\n' "$directory" >&2
    cat -- "$served_log" >&2
    return 1
  fi
}

serves_or_ended() { grep -q "^mpifs: serving $1" "$served_log" || ended "$served_pid"; }

# Ends the program as a service manager would, and waits for it.
stop_serving() {
  [[ -n $served_pid ]] || return 0
  kill -TERM "$served_pid" 2>/dev/null || true
  wait_until "$patience" ended "$served_pid" || kill -KILL "$served_pid" 2>/dev/null || true
  wait "$served_pid" 2>/dev/null || true
  served_pid=
  rm -f -- "$served_log"
}
