#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: what a frame from vivid to vicodec costs through mpifs, through GStreamer's elements and through v4l2-ctl,
# on the same devices, in the same size and format. Counts by the kernel's trace points, CPU time as the kernel accounts it:
# the program's and that of the kernel threads that work meanwhile. Ends with `measure: N checks passed, M failed`.
#
# Nothing here is a time of a real machine: the guest is emulated. What counts is one beside the other, and as the guest's clock
# counts instructions, that does not depend on how busy this machine is. To see it by the wall clock instead, run it in
# a guest without --virtual-time with FPS=5 ROUNDS=3 MARGIN=1.25 in its environment.
set -u

# shellcheck source=Tests/guest/checks.sh
source ./checks.sh
# GStreamer 1.22 allocates the encoder's coded buffers for this size whatever is asked, and fails at others.
width=1280
height=720
# Slow enough that no picture is dropped: coding one takes a third of a second of the emulated processor.
fps=${FPS:-2}
rounds=${ROUNDS:-1}
frames=${FRAMES:-30}

# compare EXPRESSION: arithmetic of awk, true or not
compare() { awk "BEGIN { exit !($1) }" || { printf '%s does not hold\n' "$1"; return 1; }; }

tracing=/sys/kernel/tracing
frames_done=$tracing/instances/frames
mkdir $frames_done
echo 16384 >$tracing/buffer_size_kb
echo 0 >$tracing/tracing_on
echo 1 >$tracing/options/event-fork
# A frame is done when its coded picture is taken from the encoder: type 1, or 9 with planes.
for instance in $tracing $frames_done; do
  echo "minor == $(minor "$VICODEC_ENC") && (type == 1 || type == 9)" >"$instance/events/v4l2/v4l2_dqbuf/filter"
  echo 1 >"$instance/events/v4l2/v4l2_dqbuf/enable"
done

# pass_frames N: returns as the N-th frame from now on is done, or fails after 120 s. The kernel wakes it: a loop that looked would
# take the processor from what is measured, and end a window where the next picture is half coded.
pass_frames() {
  echo >$frames_done/trace
  timeout 120 head -n "$1" $frames_done/trace_pipe >/tmp/passed
  (($(wc -l </tmp/passed) == $1)) || { printf '%d of %d frames in 120 s\n' "$(wc -l </tmp/passed)" "$1"; return 1; }
}

# Ticks (1/100 s) that the given processes, and all kernel threads, have used, and what of the former was in user mode.
ticks() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v pids=" $* " '
    { pid = $1; sub(/^.*\) /, ""); ppid = $2; used = $12 + $13 }
    index(pids, " " pid " ") { own += used; user += $12 }
    ppid == 2 { kernel += used }
    END { print own + 0, kernel + 0, user + 0 }'
}

declare -A own user kernel ioctls buffers calls bytes looks
# mean SUM AFTER BEFORE FRAMES: the sum and this round's share of the mean, milliseconds a frame.
mean() { awk "BEGIN { print $1 + ($2 - $3) * 10 / $4 / $rounds }"; }
# observe NAME PID...: a window of `frames` frames for the CPU time, one of 15 frames for the calls.
observe() {
  local name=$1 before after pid
  shift
  pass_frames 5 || return 1
  read -r -a before < <(ticks "$@")
  pass_frames "$frames" || return 1
  read -r -a after < <(ticks "$@")

  for pid; do (cd "/proc/$pid/task" && printf '%s\n' *); done >/tmp/threads
  # The frames are counted in whichever thread takes them, also a kernel thread.
  tr '\n' ' ' </tmp/threads >$tracing/set_event_pid
  echo 1 >$tracing/events/raw_syscalls/sys_enter/enable
  echo >$tracing/trace
  echo 1 >$tracing/tracing_on
  pass_frames 16
  echo 0 >$tracing/tracing_on
  echo 0 >$tracing/events/raw_syscalls/sys_enter/enable
  cp $tracing/trace /tmp/calls
  echo >$tracing/set_event_pid
  # From a frame that is done to the fifteenth after it: what a window's ends cut in two does not count.
  # NR 16 is ioctl, of which c058560f and c0585611 are QBUF and DQBUF; 0 and 1 are read and write, whose third argument is a
  # number of bytes. The thread that looks at the system's memory once a second does no work for a frame, and is counted apart.
  read -r "buffers[$name]" "ioctls[$name]" "calls[$name]" "bytes[$name]" "looks[$name]" < <(
    sed -n 's/.* v4l2_dqbuf: .*/done/p; s/^ *memory-.* sys_enter: .*/look/p; s/.*sys_enter: NR \([0-9]*\) (\(.*\))/\1 \2/p' /tmp/calls | tr -d , | awk -v n=15 '
      function hex(text, i, value) { for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1; return value }
      $1 == "done" { done++; next } done < 1 || done > n { next } $1 == "look" { looks++; next }
      { calls++ } $1 == 16 { ioctls++ } $3 == "c058560f" || $3 == "c0585611" { buffers++ } $1 == 0 || $1 == 1 { bytes += hex($4) }
      END { if (done > n) printf "%.2f %.2f %.2f %.0f %.2f\n", buffers / n, ioctls / n, calls / n, bytes / n, looks / n }')
  [[ -n ${looks[$name]} ]] || { printf 'fewer than 16 frames in the trace\n'; return 1; }
  own[$name]=$(mean "${own[$name]:-0}" "${after[0]}" "${before[0]}" "$frames")
  kernel[$name]=$(mean "${kernel[$name]:-0}" "${after[1]}" "${before[1]}" "$frames")
  user[$name]=$(mean "${user[$name]:-0}" "${after[2]}" "${before[2]}" "$frames")
}

through_mpifs() {
  serve --load none
  mkdir $mpi/vi/0 $mpi/venc/0
  cat >$mpi/config <<END
vi/0/input = $VIVID_CAP
vi/0/width = $width
vi/0/height = $height
vi/0/format = nv12
vi/0/fps = $fps
venc/0/codec = fwht
venc/0/gop = 10
venc/0/source = vi/0
venc/0/enable = 1
vi/0/enable = 1
END
  observe mpifs "$program" || cat $mpi/health $mpi/error_log
  copied=$(cat $mpi/vi/0/stats $mpi/venc/0/stats | awk '$1 == "bytes_copied:" { sum += $2 } END { print sum }')
  dropped=$(sed -n 's/^source_dropped: //p' $mpi/vi/0/stats)
  kill "$program"
  wait "$program"
}

through_gstreamer() {
  gst-launch-1.0 -q v4l2src device="$VIVID_CAP" io-mode=dmabuf ! \
    video/x-raw,format=NV12,width=$width,height=$height,framerate="$fps/1" ! \
    v4l2fwhtenc output-io-mode=dmabuf-import extra-controls="controls,video_gop_size=10" ! \
    fakesink sync=false >/tmp/gst.log 2>&1 &
  local program=$!
  local status=0
  observe gstreamer $program || { status=1; cat /tmp/gst.log; }
  kill -INT $program
  wait $program
  return $status
}

# v4l2-ctl passes DMA-BUFs between two devices, but feeds no second queue meanwhile: a coder needs two of it and a pipe.
through_v4l2_ctl() {
  v4l2-ctl -d "$VIVID_CAP" --set-fmt-video=width=$width,height=$height,pixelformat=NV12 --set-parm="$fps" >/dev/null
  mkfifo /tmp/pipe
  v4l2-ctl -d "$VICODEC_ENC" -c video_gop_size=10 --set-fmt-video-out=width=$width,height=$height,pixelformat=NV12 \
    --set-fmt-video=pixelformat=FWHT --stream-mmap --stream-out-mmap --stream-from=- </tmp/pipe >/tmp/enc.log 2>&1 &
  local coder=$! camera
  v4l2-ctl -d "$VIVID_CAP" --stream-mmap --stream-to=- >/tmp/pipe 2>/tmp/cap.log &
  camera=$!
  local status=0
  observe v4l2-ctl $camera $coder || { status=1; cat /tmp/enc.log /tmp/cap.log; }
  kill $camera
  kill $coder
  wait $camera $coder
  rm /tmp/pipe
  return $status
}

# What mpifs is held against is started again where it stands still: that is no fault of what is tested, and it is said.
witness() { "$1" || { printf '      %s stood still, and is started again\n' "$1"; "$1"; }; }

export GST_REGISTRY=/tmp/registry GST_PLUGIN_SYSTEM_PATH=/usr/lib/x86_64-linux-gnu/gstreamer-1.0
check "GStreamer has the encoder's element" gst-inspect-1.0 v4l2fwhtenc
for ((round = 0; round < rounds; round++)); do
  through_mpifs
  echo "      measured through mpifs"
  witness through_gstreamer
  echo "      measured through GStreamer"
  witness through_v4l2_ctl
done 2>/dev/null

echo "      a frame of ${width}x$height, means of $rounds rounds of $frames frames"
row() { printf '      %-10s %12s %14s %18s %11s %8s %8s %16s\n' "$@"; }
row "" "process, ms" "in user mode" "kernel threads, ms" QBUF+DQBUF ioctls calls "read+written, B"
for name in mpifs gstreamer v4l2-ctl; do
  row $name "${own[$name]:-?}" "${user[$name]:-?}" "${kernel[$name]:-?}" "${buffers[$name]:-?}" "${ioctls[$name]:-?}" "${calls[$name]:-?}" "${bytes[$name]:-?}"
done
total() { awk "BEGIN { print ${own[$1]:-0} + ${kernel[$1]:-0} }"; }
leaner=$(awk "BEGIN { a = $(total gstreamer); b = $(total v4l2-ctl); print a < b ? a : b }")
echo "      $(total mpifs) ms through mpifs, $leaner ms through the leaner of the others"
echo "      beside a frame, the look at the system's memory: ${looks[mpifs]:-?} calls"

check "mpifs copies no byte of a picture" test "$copied" = 0
check "one QBUF and one DQBUF for each of three queues" compare "${buffers[mpifs]:-99} <= 6.2"
check "no more of them than GStreamer" compare "${buffers[mpifs]:-99} <= ${buffers[gstreamer]:-0} + 0.2"
check "no more of them than v4l2-ctl" compare "${buffers[mpifs]:-99} <= ${buffers[v4l2-ctl]:-0} + 0.2"
# vivid changes a control with each picture, and mpifs is told of it: the tree shows the camera's controls.
check "no more ioctls of all kinds than GStreamer" compare "${ioctls[mpifs]:-99} <= ${ioctls[gstreamer]:-0} + 0.2"
check "no more calls of all kinds than GStreamer" compare "${calls[mpifs]:-999} <= ${calls[gstreamer]:-0}"
check "no more CPU time than the leaner of the two" compare "$(total mpifs) <= ${MARGIN:-1.05} * $leaner"
echo "      dropped by the camera: ${dropped:-?}"
tally measure
