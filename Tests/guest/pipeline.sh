#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: the real program over real drivers, driven as a user drives it. vivid gives pictures, vicodec codes
# them, vim2m scales them. Prints each check and ends with `pipeline: N checks passed, M failed`.
set -u

# shellcheck source=Tests/guest/checks.sh
source ./checks.sh

serve --load none

echo '== devices'
planes=single
[[ -z ${MULTIPLANAR:-} ]] || planes=multi
check "the camera" device_says "$VIVID_CAP" "role: capture"
check "its planes" device_says "$VIVID_CAP" "planes: $planes"
check "the encoder" device_says "$VICODEC_ENC" "role: encoder (FWHT)"
check "takes memory from elsewhere" device_says "$VICODEC_ENC" "memory_in: mmap userptr dmabuf orphaned"
check "is a backend" device_says "$VICODEC_ENC" "backend: $VICODEC_ENC"
check "nobody has it yet" device_says "$VICODEC_ENC" "used_by: nobody here"
check "the scaler" device_says "$VIM2M" "role: scaler"
check "the display" device_says "$VKMS_CARD" "driver: vkms"
check "the heaps" device_says memory "heaps: reserved system"

echo '== vivid -> vicodec'
camera() { # camera WIDTH HEIGHT FORMAT FPS
  put vi/0/enable 0
  put vi/0/width "$1"
  put vi/0/height "$2"
  put vi/0/format "$3"
  put vi/0/fps "$4"
  put vi/0/enable 1
}
mkdir $mpi/vi/0 $mpi/venc/0
put vi/0/input "$VIVID_CAP"
camera 1280 720 nv12 5
put venc/0/codec fwht
check "fwht has fixqp where nothing is written" is "$(cat $mpi/venc/0/rc_mode)" fixqp
check "avbr is refused, with what there is" refused venc/0/rc_mode avbr "is not available with fwht"
check "a bitrate is kept for a rate control that has one" put venc/0/bitrate 4000
check "software has no fwht" refused venc/0/backend software "does not make fwht"
put venc/0/gop 8
put venc/0/source vi/0
put venc/0/enable 1
check "and active says that it is not used" grep -q '^unused: bitrate: ' $mpi/venc/0/active
check "auto takes the device" is "$(value venc/0/active backend)" "$VICODEC_ENC"
check "frames move" wait_until 30 at_least venc/0/stats frames_out 10
check "bytes copied by the CPU, camera" is "$(value vi/0/stats bytes_copied)" 0
check "bytes copied by the CPU, encoder" is "$(value venc/0/stats bytes_copied)" 0
check "devices says who has the camera" device_says "$VIVID_CAP" "used_by: vi/0"
check "and the encoder" device_says "$VICODEC_ENC" "used_by: venc/0"
check "health" moves $mpi/health

# The kernel's own count of buffers given and taken, for each node and queue.
tracing=/sys/kernel/tracing
echo 8192 >$tracing/buffer_size_kb
echo 0 >$tracing/tracing_on
echo >$tracing/trace
echo 1 >$tracing/events/v4l2/v4l2_qbuf/enable
echo 1 >$tracing/events/v4l2/v4l2_dqbuf/enable
seen=$(value vi/0/stats frames_out)
before=$(value venc/0/stats frames_out)
echo 1 >$tracing/tracing_on
wait_until 30 at_least venc/0/stats frames_out $((before + 20)) >/dev/null
echo 0 >$tracing/tracing_on
frames=$(($(value venc/0/stats frames_out) - before))
seen=$(($(value vi/0/stats frames_out) - seen))
count() { grep -c "$1: minor = $(minor "$2"),.*type = $3" $tracing/trace; }
echo "      $seen frames of the camera, $frames of the encoder"
suffix=
[[ -z ${MULTIPLANAR:-} ]] || suffix=_MPLANE
for call in v4l2_qbuf v4l2_dqbuf; do
  check "$call a frame, camera" near "$(count $call "$VIVID_CAP" "VIDEO_CAPTURE$suffix,")" "$seen" 2
  check "$call a frame, encoder in" near "$(count $call "$VICODEC_ENC" "VIDEO_OUTPUT$suffix,")" "$frames" 2
  check "$call a frame, encoder out" near "$(count $call "$VICODEC_ENC" "VIDEO_CAPTURE$suffix,")" "$frames" 2
done
echo 0 >$tracing/events/v4l2/enable

echo '== the stream'
decoded() { # decoded FILE WIDTH HEIGHT: frames the kernel's decoder makes of it
  v4l2-ctl -d "$VICODEC_DEC" --set-fmt-video-out=width="$2",height="$3",pixelformat=FWHT \
    --set-fmt-video=width="$2",height="$3",pixelformat=NV12 --stream-mmap --stream-out-mmap \
    --stream-from="$1" --stream-to=/tmp/decoded >/tmp/decode.log 2>&1 || return 1
  echo $(($(stat -c %s /tmp/decoded) * 2 / 3 / $2 / $3))
}
cat $mpi/venc/0/stream >/tmp/coded.fwht &
reader=$!
check "it has a reader" wait_until 30 at_least venc/0/stats readers 1
wait_until 30 at_least venc/0/stats frames_out $(($(value venc/0/stats frames_out) + 15)) >/dev/null
# The reader gets all that was coded for it, and then the end: a picture cut in two would be none.
put venc/0/enable 0
wait $reader
put venc/0/enable 1
check "starts with a header" is "$(head -c 8 /tmp/coded.fwht | od -An -tx1 | tr -d ' ')" 4f4f4f4fffffffff
check "with the size" is "$(head -c 20 /tmp/coded.fwht | tail -c 8 | od -An -tx1 | tr -d ' ')" 00000500000002d0
# Every picture begins on a header; no other byte string of it holds one.
pictures=$(od -An -v -tx1 /tmp/coded.fwht | tr -d ' \n' | grep -o 4f4f4f4fffffffff | wc -l)
check "the kernel's decoder makes as many pictures of it as there are headers" \
  is "$(decoded /tmp/coded.fwht 1280 720)" "$pictures"
check "which are some" test "$pictures" -gt 3
echo "      $pictures pictures in $(stat -c %s /tmp/coded.fwht) bytes"
keys=$(value venc/0/stats key_frames)
put venc/0/idr 1
check "a key frame on demand" wait_until 10 grep -q '^idr: effective' $mpi/venc/0/effect
put venc/0/gop 4
check "another gop takes effect" wait_until 20 grep -q '^gop: effective' $mpi/venc/0/effect
# FWHT's headers tell no quantiser: judged by the size of the pictures.
check "a quantiser the device has not" refused venc/0/qp_i 32 "it takes 1..31"
put venc/0/qp_p 2
check "a finer quantiser takes effect" wait_until 20 grep -q '^qp_p: effective old=auto new=2' $mpi/venc/0/effect
put venc/0/qp_i 4
check "and one for key pictures" wait_until 20 grep -q '^qp_i: effective old=auto new=4' $mpi/venc/0/effect
grep '^qp' $mpi/venc/0/effect | sed 's/^/      /'
put venc/0/qp_i auto
put venc/0/qp_p auto
check "key frames are counted" at_least venc/0/stats key_frames $((keys + 2))

echo '== two channels, one device'
mkdir $mpi/venc/1 $mpi/venc/2
check "the device does no h264" refused venc/1/backend "$VICODEC_ENC" "does not make h264"
check "named, with its codec in one go" tee $mpi/config <<END
venc/1/codec = fwht
venc/1/backend = $VICODEC_ENC
venc/1/source = vi/0
venc/1/enable = 1
END
check "by name" is "$(value venc/1/active backend)" "$VICODEC_ENC"
put venc/2/source vi/0
put venc/2/enable 1
check "h264 stays software" test "$(value venc/2/active backend)" != "$VICODEC_ENC"
check "the second channel moves" wait_until 30 at_least venc/1/stats frames_out 5
check "software beside it" wait_until 30 at_least venc/2/stats frames_out 5
check "devices names both" device_says "$VICODEC_ENC" "used_by: venc/0 venc/1"
# The kernel's names of the program's threads: one of the device for each channel that waits for it.
threads() { cat "/proc/$program/task"/*/comm | grep -c "^${1##*/}-"; }
workers() { sed -n "s|^mpifs_service_workers{object=\"$1\"} ||p" $mpi/metrics; }
check "each has a thread of the device" is "$(threads "$VICODEC_ENC")" 2
check "metrics says so" is "$(workers "$VICODEC_ENC")" 2
put venc/1/enable 0
put venc/2/enable 0
one_thread() { [[ $(threads "$VICODEC_ENC")$(workers "$VICODEC_ENC") == 11 ]]; }
check "one that stops gives its thread back" wait_until 10 one_thread
grep '^mpifs_service' $mpi/metrics | sed 's/^/      /'

echo '== what must be copied is counted'
camera 640 360 nv12 5
# The device codes 368 lines: planes lie elsewhere than the camera's. Frames of the old size come first.
check "they are copied" wait_until 30 at_least venc/0/stats bytes_copied $((3 * 345600))
check "345600 bytes a frame" is $(($(value venc/0/stats bytes_copied) % 345600)) 0
put venc/0/enable 0

echo '== vivid -> vim2m -> software'
transtime=/sys/module/vim2m/parameters/default_transtime
echo 20 >$transtime
camera 640 480 rgb24 5
mkdir $mpi/vpss/0 $mpi/vpss/0/0 $mpi/vi/1
put vpss/0/backend "$VIM2M"
put vpss/0/0/width 320
put vpss/0/0/height 240
put vpss/0/0/format yuyv
put vpss/0/source vi/0
put vpss/0/0/enable 1
put vpss/0/enable 1
put venc/2/source vpss/0/0
put venc/2/enable 1
check "frames move through the device" wait_until 30 at_least vpss/0/0/stats frames_out 10
check "it is the device" is "$(value vpss/0/0/active backend)" "$VIM2M"
check "no byte copied by the CPU" is "$(value vpss/0/0/stats bytes_copied)" 0
check "devices says who" device_says "$VIM2M" "used_by: vpss/0/0"
check "and they are coded" at_least venc/2/stats frames_out 5
check "a picture of it" test "$(head -c 2 $mpi/vpss/0/0/snapshot.jpg | od -An -tx1 | tr -d ' ')" = ffd8

echo '== the load of a device'
put vpss/0/enable 0
put vpss/0/0/enable 0
camera 320 180 rgb24 5
put vpss/0/0/width 64
put vpss/0/0/height 48
put vpss/0/0/fps 2
put vpss/0/enable 1
put mpp_service/load_interval 4000
# In hundredths of a percent.
load() { sed -n "s|^${VIM2M##*/} *load: *\([0-9]*\)\.\([0-9]*\)%.*|\1\2|p" $mpi/mpp_service/load; }
transactions() { # transactions MILLISECONDS: of so long, two a second, for more than a window
  put vpss/0/0/enable 0
  echo "$1" >$transtime
  put vpss/0/0/enable 1
  made=$(value vpss/0/0/stats frames_out)
  check "pictures of a whole window" wait_until 30 at_least vpss/0/0/stats frames_out $((made + 9))
  check "by the device" is "$(value vpss/0/0/active backend)" "$VIM2M"
  sed 's/^/      /' $mpi/mpp_service/load
}
# The driver's processor works at each picture before the time that is set begins.
transactions 1
short=$(load)
transactions 400
long=$(load)
# 399 ms more, twice a second, are 79.8 %; within 2 % of that.
check "two transactions of 400 ms a second: $long, of 1 ms $short" test $((10#$long - 10#$short)) -ge 7820 -a $((10#$long - 10#$short)) -le 8140
put vi/0/enable 0
gone_down() { [[ $(load) == 000 ]]; }
check "idle, it goes down to nothing" wait_until 20 gone_down
put mpp_service/load_interval 0
put vpss/0/enable 0
put vpss/0/0/enable 0
put vpss/0/0/fps -1
put vpss/0/0/width 320
put vpss/0/0/height 240
echo 20 >$transtime
camera 640 480 rgb24 5
put vpss/0/0/enable 1
put vpss/0/enable 1

echo '== a device that hangs'
put vi/1/width 320
put vi/1/height 240
put vi/1/fps 10
put vi/1/enable 1
put venc/1/source vi/1
put venc/1/backend auto 2>/dev/null
check "another channel" tee $mpi/config <<END
venc/1/codec = h264
venc/1/backend = auto
venc/1/enable = 1
END
put vpss/0/0/enable 0
echo 2000 >$transtime
put vpss/0/0/enable 1
drops=$(value vpss/0/0/stats dropped_device_error)
check "its pictures are failed and counted" wait_until 30 at_least vpss/0/0/stats dropped_device_error $((drops + 3))
check "it says so" has vpss/0/0/state "failed: "
check "and why" has error_log "no picture in 500 ms"
moved=$(value venc/1/stats frames_out)
drops=$(value vpss/0/0/stats dropped_device_error)
check "the other channel goes on" wait_until 20 at_least venc/1/stats frames_out $((moved + 20))
check "while it still hangs" at_least vpss/0/0/stats dropped_device_error $((drops + 1))
echo 20 >$transtime
out=$(value vpss/0/0/stats frames_out)
check "it works again as soon as the device does" wait_until 30 at_least vpss/0/0/stats frames_out $((out + 5))
check "and says so" is "$(cat $mpi/vpss/0/0/state)" running
accounts() {
  local page=$mpi/vpss/0/0/stats
  awk -F': ' '{v[$1] = $2} END {exit !(v["frames_in"] == v["frames_out"] + v["dropped"] + v["in_flight"])}' $page || { cat $page; return 1; }
}
check "in = out + dropped + in flight" accounts

finish pipeline
