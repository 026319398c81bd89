#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: programs that leak DMA-BUFs of every kind are found with two commands, and our totals are the kernel's own to
# the byte. Ends with `dmabuf: N checks passed, M failed`.
#
# ITERATED=1: the kernel is one whose BPF iterator is the source, and its display is bochs.
set -u

# shellcheck source=Tests/guest/checks.sh
source ./checks.sh
holders=()

# hold KIND COUNT: starts a leaking program. Sets $leaker.
hold() {
  rm -f "/tmp/hold.$1"
  ./guest-devices hold "$@" >"/tmp/hold.$1" 2>&1 &
  leaker=$!
  holders+=("$leaker")
  check "$1: $2 buffers are kept" wait_until 20 grep -qs '^holding' "/tmp/hold.$1"
}
settle() { sleep 1.2; }
kernel_bytes() { tail -n 1 /sys/kernel/debug/dma_buf/bufinfo | sed -n 's/^Total .* objects, \(.*\) bytes$/\1/p'; }
kernel_count() { tail -n 1 /sys/kernel/debug/dma_buf/bufinfo | sed -n 's/^Total \(.*\) objects, .*/\1/p'; }
our_bytes() { value rk_dmabuf/source dmabuf_bytes; }
# Both figures of one moment each.
our_total() { sed -n 's/^dmabuf_\(count\|bytes\): /\1 /p' $mpi/rk_dmabuf/source; }
kernel_total() { tail -n 1 /sys/kernel/debug/dma_buf/bufinfo | sed -n 's/^Total \(.*\) objects, \(.*\) bytes$/bytes \2\ncount \1/p'; }
same_as_kernel() {
  settle
  is "$(our_total)" "$(kernel_total)" &&
    is "$(cat $mpi/rk_dmabuf/size)" "Total: $(($(kernel_bytes) + $(value rk_dmabuf/source own_bytes_that_are_no_dmabuf) >> 10)) KiB"
}
# grown LINE...: growth has a line that begins so.
grown() { settle; grep -qE "^  $1" $mpi/rk_dmabuf/growth || { cat $mpi/rk_dmabuf/growth; return 1; }; }
# placed NAME: KiB of all pieces that `sgt` has of own buffers of that name.
placed() {
  local line name='' sum=0
  while IFS= read -r line; do
    [[ $line == ' '* ]] || name=${line:17:16}
    if [[ ${name%% *} == "$1" && $line =~ \(\ *([0-9]+)\ KiB\)$ ]]; then sum=$((sum + BASH_REMATCH[1])); fi
  done < <(tail -n +3 $mpi/rk_dmabuf/sgt)
  echo "$sum"
}
# All of them lie in what the kernel calls memory, and there are some.
in_memory() {
  local first last from to found=0 is_in
  while IFS=. read -r first _ last; do
    is_in=
    while IFS=- read -r from to; do
      if ((first >= 16#$from && last <= 16#$to)); then is_in=yes; fi
    done < <(sed -n 's/^\([0-9a-f]*-[0-9a-f]*\) : System RAM$/\1/p' /proc/iomem)
    [[ -n $is_in ]] || { printf '%s..%s is no memory\n' "$first" "$last"; return 1; }
    found=$((found + 1))
  done < <(sed -n 's/.*: \(0x[0-9a-f]*\.\.0x[0-9a-f]*\) (.*/\1/p' $mpi/rk_dmabuf/sgt)
  ((found > 0))
}
# The sum of dma_heap_info is what the kernel's list has of all heaps.
heaps_add_up() {
  local size exporter bytes=0
  settle
  while IFS=$'\t' read -r size _ _ _ exporter _; do
    if [[ $size =~ ^[0-9]{8,}$ && -e /dev/dma_heap/$exporter ]]; then bytes=$((bytes + 10#$size)); fi
  done </sys/kernel/debug/dma_buf/bufinfo
  ((bytes > 0)) && is "$(tail -n 1 $mpi/rk_dma_heap/dma_heap_info)" "$(printf 'Total : 0x%x (%d KiB)' "$bytes" $((bytes >> 10)))"
}
# The area of contiguous memory is as the kernel tells, which depends on how it was built; where it tells nothing there is no node.
area_is_the_kernels() {
  local debug=/sys/kernel/debug/cma/reserved counts=/sys/kernel/mm/cma/reserved total used
  local -a words=()
  settle
  if [[ -e $debug/count ]]; then
    total=$(cat $debug/count) used=$(cat $debug/used)
    read -r -a words <$debug/bitmap
  elif [[ -e $counts/total_pages ]]; then
    total=$(cat $counts/total_pages) used=$(($(cat $counts/total_pages) - $(cat $counts/available_pages)))
  else
    [[ ! -e $mpi/rk_cma && ! -e $mpi/rk_dma_heap/alloc_bitmap ]]
    return
  fi
  is "$(cat $mpi/rk_cma/reserved)" "$(
    printf 'Total: %d KiB\n Used: %d KiB\n' $((total * 4)) $((used * 4))
    if ((${#words[@]} > 0)); then
      printf '\n'
      printf '%08X %08X %08X %08X %08X %08X %08X %08X\n' "${words[@]}"
    fi
  )"
}
# A bit of the map stands for a page that is allocated, and the heap's node shows the same area. A kernel without debugfs has no map.
bits_are_pages() {
  local word bits total=0
  if [[ ! -e /sys/kernel/debug/cma/reserved/bitmap ]]; then
    ! grep -rqE '^[0-9A-F]{8}( |$)' $mpi/rk_cma $mpi/rk_dma_heap/alloc_bitmap 2>/dev/null
    return
  fi
  cmp $mpi/rk_cma/reserved $mpi/rk_dma_heap/alloc_bitmap || return
  while read -r word; do
    for ((bits = 16#$word; bits; bits &= bits - 1)); do total=$((total + 1)); done
  done < <(sed 1,3d $mpi/rk_dma_heap/alloc_bitmap | tr ' ' '\n')
  ((total >= 512)) && is "$(sed -n 's/^ Used: //p' $mpi/rk_dma_heap/alloc_bitmap)" "$((total * 4)) KiB"
}
# pool N HEAP BYTES COUNT
pool() {
  mkdir "$mpi/vb/$1"
  put "vb/$1/heap" "$2"
  put "vb/$1/size" "$3"
  put "vb/$1/count" "$4"
  put "vb/$1/enable" 1
}

list="debugfs dma_buf/bufinfo, and"
device=vkms
if [[ -n ${ITERATED:-} ]]; then
  list="the kernel's BPF iterator of DMA-BUFs, debugfs dma_buf/bufinfo for attached devices, and"
  modprobe bochs
  for card in /sys/class/drm/card*; do
    [[ $(readlink -f "$card/device/driver") != */bochs* ]] || export VKMS_CARD=/dev/dri/${card##*/}
  done
  device=$(basename "$(readlink -f "/sys/class/drm/${VKMS_CARD##*/}/device")")
fi

grep -q ' /sys/kernel/debug ' /proc/mounts || mount -t debugfs none /sys/kernel/debug
serve --load none
check "the source is the kernel's list" has rk_dmabuf/source "source: $list descriptors and mappings"
check "nothing there, and so says the kernel" same_as_kernel
echo mark >$mpi/rk_dmabuf/growth
check "a mark without growth" has rk_dmabuf/growth "0 came (0 bytes), 0 went"

for kind in heap udmabuf mapped vkms; do
  echo "mark $kind" >$mpi/rk_dmabuf/growth
  hold $kind 7 65536
  bytes=$((7 * 65536))
  [[ $kind != vkms ]] || bytes=$((7 * 128 * 64 * 4))
  check "$kind: the leaker is named with its count" grown "pid=$leaker process=guest-devices buffers=7 bytes=$bytes "
  check "$kind: our total is the kernel's" same_as_kernel
done
hold vivid 4
check "vivid: the leaker is named" grown "pid=$leaker process=guest-devices buffers=[48] "
check "vivid: our total is the kernel's" same_as_kernel
echo "mark kernel" >$mpi/rk_dmabuf/growth
hold kernel 3
check "what only the kernel holds stands apart" grown "buffers=3 bytes=98304 name=leak exporter=system"
check "kernel: our total is the kernel's" same_as_kernel
check "the attached device is named" grep -qE "^[0-9a-f]{16} leak +system +32 KiB $device\$" $mpi/rk_dmabuf/dev
check "who holds most stands first" bash -c "grep -v '^#' $mpi/rk_dmabuf/by_process | head -n 1 | grep -q guest-devices"

# A pipeline of our own beside them.
mkdir $mpi/vi/0 $mpi/venc/0
put vi/0/input pattern
put vi/0/width 320
put vi/0/height 240
put venc/0/source vi/0
put venc/0/codec mjpeg
put venc/0/enable 1
put vi/0/enable 1
frames_come() { at_least venc/0/stats frames_out 3; }
check "a pipeline runs" wait_until 60 frames_come
check "with a pipeline: our total is the kernel's" same_as_kernel
check "own buffers are the system heap's" is "$(value rk_dmabuf/source own_bytes_that_are_no_dmabuf)" 0

# Where own buffers lie, and contiguous memory.
check "a pool of udmabuf" pool 0 udmabuf 3110400 3
check "a pool of the contiguous heap" pool 1 reserved 1048576 2
settle
for buffer in 0 1 2; do check "udmabuf $buffer: the pieces are the whole" is "$(placed vb0-$buffer)" 3040; done
check "they lie in memory" in_memory
check "of the system heap this kernel shows none, which is counted" is "$(placed vi0-0)" 0
check "so many are whole" is "$(value rk_dmabuf/source sgt_buffers)" 3
check "and some are not known" at_least rk_dmabuf/source sgt_buffers_unknown 2
check "the heaps' sum is the kernel's" heaps_add_up
check "its contiguous memory" is "$(($(value rk_dmabuf/source cma_bytes) >> 10)) kB" "$(sed -n 's/^CmaTotal: *//p' /proc/meminfo)"
check "and the area of it" area_is_the_kernels
check "its bits are the pages in use" bits_are_pages
head -n 12 $mpi/rk_dmabuf/sgt | sed 's/^/      /'

sed 's/^/      /' $mpi/rk_dmabuf/source $mpi/rk_dmabuf/by_process $mpi/rk_dmabuf/growth $mpi/rk_dmabuf/dev

# More than one read of the iterator's file, or the list of the first look, holds.
if [[ -n ${ITERATED:-} ]]; then
  ulimit -n 4096
  hold udmabuf 1000 4096
  check "1000 more: the leaker is named with its count" grown "pid=$leaker process=guest-devices buffers=1000 bytes=4096000 "
  check "1000 more: our total is the kernel's" same_as_kernel
  check "no record contradicts another" is "$(value rk_dmabuf/source disagreements)" 0
  grep cost_us $mpi/rk_dmabuf/source | sed 's/^/      /'
fi

# Without the kernel's list: sysfs, and without that the processes alone.
peak=$(cat $mpi/rk_dmabuf/peak)
check "the peak is there" test "$peak" != "Peak: 0 MiB"
put rk_dmabuf/peak 0
umount /sys/kernel/debug
settle
if [[ -n ${ITERATED:-} ]]; then
  check "without debugfs the iterator stays" has rk_dmabuf/source "source: the kernel's BPF iterator of DMA-BUFs, and descriptors"
  check "which says what it cannot see" has rk_dmabuf/source "not_seen: attached devices; "
  check "and so does dev" grep -qE "^[0-9a-f]{16} leak +system +32 KiB \?\$" $mpi/rk_dmabuf/dev
else
  check "without debugfs sysfs is the source" has rk_dmabuf/source "source: /sys/kernel/dmabuf/buffers"
fi
without=$(our_bytes)
mount -t debugfs none /sys/kernel/debug
check "and its total is the kernel's" is "$without" "$(kernel_bytes)"

kill "${holders[@]}"
# Their end must not interrupt a write.
wait "${holders[@]}" 2>/dev/null
put venc/0/enable 0
put vi/0/enable 0
put vb/0/enable 0
put vb/1/enable 0
rmdir $mpi/venc/0 $mpi/vi/0 $mpi/vb/0 $mpi/vb/1
nothing_left() { is "$(kernel_count)" 0; }
check "all of it is gone" wait_until 20 nothing_left
check "at the end our total is the kernel's" same_as_kernel
grep -v '^#' $mpi/rk_dmabuf/history | tail -n 8 | sed 's/^/      /'

# What the iterator wants is not there: the reason is said, and the next source is taken.
if [[ -n ${ITERATED:-} ]]; then
  kill -TERM "$program"
  check "it ends" wait_until 5 has_ended
  mount -t tmpfs none /sys/kernel/btf
  serve --load none
  check "without types the list is debugfs's" has rk_dmabuf/source "source: debugfs dma_buf/bufinfo, and"
  check "and the reason is said" has rk_dmabuf/source "not_used: BPF iterator: /sys/kernel/btf/vmlinux: No such file or directory"
  umount /sys/kernel/btf
fi
finish dmabuf
