#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: a whole graph over camera, scaler and codec is made, run, taken apart and removed again, 200 times, in the
# tree, as a user does it. What the process holds and what the kernel holds for it is counted from outside and must be
# the same after the first round and after the last. Ends with `leaks: N checks passed, M failed`.
set -u

# shellcheck source=Tests/guest/checks.sh
source ./checks.sh
cycles=200

serve --load none
echo 5 >/sys/module/vim2m/parameters/default_transtime

frames_of() { at_least "$1/stats" frames_out 1; }
undone=0
cycle() {
  mkdir $mpi/vi/0 $mpi/vpss/0 $mpi/vpss/0/0 $mpi/venc/0 $mpi/venc/1
  put vi/0/input "$VIVID_CAP"
  put vi/0/width 320
  put vi/0/height 240
  put vi/0/format rgb24
  put vi/0/fps 30
  put vpss/0/backend "$VIM2M"
  put vpss/0/source vi/0
  put vpss/0/0/width 160
  put vpss/0/0/height 120
  put vpss/0/0/format yuyv
  put venc/0/codec fwht
  put venc/0/source vi/0
  put venc/1/codec mjpeg
  put venc/1/source vpss/0/0
  put venc/1/enable 1
  put venc/0/enable 1
  put vpss/0/0/enable 1
  put vpss/0/enable 1
  put vi/0/enable 1
  { wait_until 20 frames_of venc/0 && wait_until 20 frames_of venc/1; } >/dev/null || undone=$((undone + 1))
  # Odd rounds stop the receivers first, even ones the camera.
  local order="venc/1 venc/0 vpss/0/0 vpss/0 vi/0" object
  (($1 % 2)) || order="vi/0 vpss/0 vpss/0/0 venc/0 venc/1"
  for object in $order; do put "$object/enable" 0; done
  put venc/1/source ''
  put venc/0/source ''
  put vpss/0/source ''
  rmdir $mpi/venc/1 $mpi/venc/0 $mpi/vpss/0/0 $mpi/vpss/0 $mpi/vi/0
}

descriptors() { find "/proc/$program/fd" -type l | wc -l; }
mappings() { wc -l <"/proc/$program/maps"; }
threads() { find "/proc/$program/task" -maxdepth 1 -mindepth 1 | wc -l; }
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$program/status"; }
# The kernel's total of DMA-BUFs, by its list for debugging and by its list in sysfs.
buffers() { tail -n 1 /sys/kernel/debug/dma_buf/bufinfo; }
entries() { find /sys/kernel/dmabuf/buffers -mindepth 1 -maxdepth 1 2>/dev/null | wc -l; }

kernel_buffers() { printf '%s, %s\n' "$(buffers)" "$(entries)"; }
none="Total 0 objects, 0 bytes, 0"
same() { is "$("$1")" "$2"; }

check "nothing is there before" same kernel_buffers "$none"
cycle 0
cycle 1
# A device's worker ends a moment after its channel has stopped.
no_device_worker() { ! cat "/proc/$program/task/"*/comm | grep '^video'; }
check "the workers of the devices end" wait_until 10 no_device_worker
at_first=("$(steady descriptors)" "$(steady mappings)" "$(steady threads)" "$(resident)")
started=$SECONDS
for ((n = 0; n < cycles; n++)); do
  cycle $n
  # What is kept for good (the C library's heaps, the runtime's tables) is full by then.
  ((n != cycles / 2)) || at_half=$(resident)
  # A line now and then says that it goes on: whoever runs this may take silence for a hang.
  ((n % 20)) || echo "      $n rounds"
done
echo "      $cycles rounds in $((SECONDS - started)) s of the guest's time"
check "pictures came out of both devices in every round" is $undone 0
check "the log has no failure but those asked for" is "$(cat $mpi/error_log)" ""
check "descriptors: ${at_first[0]}" wait_until 10 same descriptors "${at_first[0]}"
check "threads: ${at_first[2]}" wait_until 10 same threads "${at_first[2]}"
mappings_near() { near "$(mappings)" "$1" 6; }
check "mappings: ${at_first[1]}, give or take the allocator's own" wait_until 10 mappings_near "${at_first[1]}"
check "the kernel's buffers" wait_until 10 same kernel_buffers "$none"
echo "      resident: ${at_first[3]} kB after two rounds, $at_half kB after half of them, $(resident) kB after all"
# A picture of the camera has 225 kB: 10 kB left of each round would show.
check "memory does not grow any more" test "$(resident)" -lt $((at_half + cycles * 5))

finish leaks
