#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: what the kernel's encoder made, the kernel's decoder plays, through the tree. Pictures that are known
# go in and are compared when they come out; the stream changes its size; devices are taken away and come back. Prints each
# check and ends with `decode: N checks passed, M failed`.
set -u

# shellcheck source=Tests/guest/checks.sh
source ./checks.sh

serve --load none

# coded FILE WIDTH HEIGHT PICTURES: a stream of one still picture, a slope of grey, by the kernel's own tools.
coded() {
  local chroma=$(($2 * $3 / 2)) line
  line=$(for ((x = 0; x < $2; x++)); do printf '\\x%02x' $((16 + x * 200 / $2)); done)
  for ((y = 0; y < $3; y++)); do printf "%b" "$line"; done >/tmp/picture.nv12
  head -c $chroma /dev/zero | tr '\0' '\200' >>/tmp/picture.nv12
  : >/tmp/raw.nv12
  for ((n = 0; n < $4; n++)); do cat /tmp/picture.nv12 >>/tmp/raw.nv12; done
  v4l2-ctl -d "$VICODEC_ENC" --set-fmt-video-out=width="$2",height="$3",pixelformat=NV12 \
    --set-selection-output=target=crop,width="$2",height="$3" --set-ctrl=video_gop_size=4 \
    --stream-mmap --stream-out-mmap --stream-from=/tmp/raw.nv12 --stream-to="$1" >/tmp/encode.log 2>&1
  rm /tmp/raw.nv12
}

echo '== a stream that is fed'
check "a stream of 640x480" coded /tmp/small.fwht 640 480 24
check "the decoder is a backend" device_says "$VICODEC_DEC" "backend: $VICODEC_DEC"
check "nobody has it yet" device_says "$VICODEC_DEC" "used_by: nobody here"
mkdir $mpi/vdec/0
put vdec/0/pace none
put vdec/0/enable 1
cat /tmp/small.fwht >$mpi/vdec/0/feed
check "all of its pictures" wait_until 20 at_least vdec/0/stats frames_out 24
check "no more than that" is "$(value vdec/0/stats frames_out)" 24
check "auto takes the device" is "$(value vdec/0/active backend)" "$VICODEC_DEC"
check "it found out what it is" is "$(value vdec/0/active codec)" fwht
check "and its size" is "$(value vdec/0/active width)x$(value vdec/0/active height)" 640x480
check "its pictures are the driver's own memory" is "$(value vdec/0/active memory)" v4l2:mmap
check "no pixel is copied" is "$(value vdec/0/stats bytes_copied)" 0
check "devices says who has it" device_says "$VICODEC_DEC" "used_by: vdec/0"
check "nothing is damaged" is "$(value vdec/0/stats pictures_damaged)" 0
sed 's/^/      /' $mpi/vdec/0/active

echo '== the picture is the one that went in'
# Through the encoder again and out with the kernel's tool: what is in the graph is compared byte by byte, as grey.
mkdir $mpi/venc/0
put venc/0/codec fwht
put venc/0/gop 1
put venc/0/source vdec/0
put venc/0/enable 1
cat $mpi/venc/0/stream >/tmp/again.fwht &
reader=$!
check "the encoder has a reader" wait_until 20 at_least venc/0/stats readers 1
cat /tmp/small.fwht >$mpi/vdec/0/feed
check "its pictures reach the encoder" wait_until 20 at_least venc/0/stats frames_out 20
put venc/0/enable 0
wait $reader
v4l2-ctl -d "$VICODEC_DEC" --set-fmt-video-out=width=640,height=480,pixelformat=FWHT \
  --set-fmt-video=width=640,height=480,pixelformat=NV12 --stream-mmap --stream-out-mmap \
  --stream-from=/tmp/again.fwht --stream-to=/tmp/again.nv12 >/tmp/decode.log 2>&1
# One line of the slope, every 64th pixel.
sample() { head -c "$(($2 * 640 + 640))" "$1" | tail -c 640 | od -An -v -tu1 -w64 | awk '{ print $1 }' | tr '\n' ' '; }
alike() { # alike A B: numbers that differ by at most 4
  local a b
  read -r -a a <<<"$1"
  read -r -a b <<<"$2"
  [[ ${#a[@]} == "${#b[@]}" && ${#a[@]} -gt 0 ]] || { echo "$1 / $2"; return 1; }
  for i in "${!a[@]}"; do
    ((a[i] - b[i] <= 4 && b[i] - a[i] <= 4)) || { echo "$1 / $2"; return 1; }
  done
}
for line in 0 200 479; do
  check "line $line of it" alike "$(sample /tmp/picture.nv12 $line)" "$(sample /tmp/again.nv12 $line)"
done
echo "      $(sample /tmp/again.nv12 200)"

echo '== another size in mid-stream'
check "a stream of 800x608" coded /tmp/large.fwht 800 608 12
before=$(value vdec/0/stats frames_out)
cat /tmp/small.fwht /tmp/large.fwht /tmp/small.fwht >$mpi/vdec/0/feed
check "all pictures of all sizes" wait_until 30 at_least vdec/0/stats frames_out $((before + 60))
check "no more than that" is "$(value vdec/0/stats frames_out)" $((before + 60))
check "the last size" is "$(value vdec/0/active width)" 640
check "two changes" is "$(value vdec/0/stats layout_changes)" 2

echo '== a file, in a loop'
put vdec/0/enable 0
put vdec/0/input file:/tmp/small.fwht
put vdec/0/pace auto
put vdec/0/enable 1
check "is played on and on" wait_until 30 at_least vdec/0/stats frames_out $((before + 110))
check "a picture of it" test "$(head -c 2 $mpi/vdec/0/snapshot.jpg | od -An -tx1 | tr -d ' ')" = ffd8
put vdec/0/enable 0

echo '== nothing is left'
cycle() {
  put vdec/0/enable 1
  wait_until 20 at_least vdec/0/stats frames_out "$(($(value vdec/0/stats frames_out) + 2))" >/dev/null
  put vdec/0/enable 0
}
cycle
fds() { find /proc/$program/fd -mindepth 1 | wc -l; }
buffers() { grep -c . /sys/kernel/debug/dma_buf/bufinfo; }
descriptors=$(steady fds)
kernel=$(steady buffers)
for _ in {1..10}; do cycle; done
same() { is "$("$1")" "$2"; }
check "descriptors after ten cycles" wait_until 5 same fds "$descriptors"
check "the kernel's buffers after ten cycles" wait_until 5 same buffers "$kernel"

echo '== devices that are pulled out and come back'
drivers=/sys/bus/platform/drivers
mkdir $mpi/vi/0 $mpi/vpss/0 $mpi/vpss/0/0 $mpi/venc/1 $mpi/venc/2
put vi/0/input "$VIVID_CAP"
put vi/0/width 640
put vi/0/height 480
put vi/0/format rgb24
put vi/0/fps 10
put vi/0/enable 1
put vpss/0/0/width 320
put vpss/0/0/height 240
put vpss/0/0/format yuyv
put vpss/0/source vi/0
put vpss/0/0/enable 1
put vpss/0/enable 1
put venc/1/codec fwht
put venc/1/backend "$VICODEC_ENC"
put venc/1/source vi/0
put venc/1/enable 1
put venc/2/source vpss/0/0
put venc/2/enable 1
put vdec/0/enable 1
check "the encoder's channel moves" wait_until 20 at_least venc/1/stats frames_out 5
check "the scaler's too" wait_until 20 at_least vpss/0/0/stats frames_out 5
check "it is the device" is "$(value vpss/0/0/active backend)" "$VIM2M"
device_of() { # device_of DRIVER: what it drives
  local link
  for link in "$1"/*[0-9]; do echo "${link##*/}"; done
}
codec=$(device_of $drivers/vicodec)
scaler=$(device_of $drivers/vim2m)
echo "$codec" >$drivers/vicodec/unbind
echo "$scaler" >$drivers/vim2m/unbind
state_is() { grep -q "^$2" "$mpi/$1/state"; }
check "the encoder's channel has failed" wait_until 20 state_is venc/1 failed
check "and says why" grep -q 'No such device\|is not there\|no engine' $mpi/venc/1/state
check "so has the decoder's" wait_until 20 state_is vdec/0 failed
check "health tells" test "$(head -n 1 $mpi/health)" != ok
gone() { [[ -z $(device "$1") ]]; }
check "devices lists the encoder no more" wait_until 20 gone "$VICODEC_ENC"
check "nor the scaler" wait_until 20 gone "$VIM2M"
check "the backend is no choice now" refused venc/0/backend "$VICODEC_ENC" "no"
seen=$(value vpss/0/0/stats frames_out)
check "software scales in its place" wait_until 20 at_least vpss/0/0/stats frames_out $((seen + 10))
check "and says so" is "$(value vpss/0/0/active backend)" libyuv
check "the rest goes on" wait_until 20 at_least venc/2/stats frames_out "$(($(value venc/2/stats frames_out) + 5))"
check "a setting of the channel without a device" put venc/1/gop 8
sed 's/^/      /' $mpi/venc/1/state
echo "$codec" >$drivers/vicodec/bind
echo "$scaler" >$drivers/vim2m/bind
check "devices lists them again" wait_until 20 device_says "$VICODEC_ENC" "backend: $VICODEC_ENC"
seen=$(value venc/1/stats frames_out)
check "the encoder's channel goes on" wait_until 20 at_least venc/1/stats frames_out $((seen + 10))
check "and runs" is "$(cat $mpi/venc/1/state)" running
check "the decoder's too" wait_until 20 state_is vdec/0 running
on_device() { is "$(value vpss/0/0/active backend)" "$VIM2M"; }
check "the scaler's output goes back to it" wait_until 20 on_device
seen=$(value vpss/0/0/stats frames_out)
check "and moves" wait_until 20 at_least vpss/0/0/stats frames_out $((seen + 5))
check "a new channel can have the device" put venc/0/backend "$VICODEC_ENC"
check "with the setting made meanwhile" is "$(cat $mpi/venc/1/gop)" 8
put venc/1/enable 0
put venc/1/enable 1
check "a channel stops and starts" wait_until 20 at_least venc/1/stats frames_out 3
grep -h 'devices have changed' $mpi/vlog | sed 's/^/      /'

finish decode
