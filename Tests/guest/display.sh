#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: vo on real mode setting. vkms says with a checksum what is on its screen; that is compared with the
# one of the pictures a second camera of the same kind gives. Prints each check and ends with
# `display: N checks passed, M failed`.
set -u

# shellcheck source=Tests/guest/checks.sh
source ./checks.sh

debug=/sys/kernel/debug/dri/${VKMS_CARD##*card}
connector=$(ls -d /sys/class/drm/"${VKMS_CARD##*/}"-Virtual-*)
connector=${connector#*-}
status=/sys/class/drm/${VKMS_CARD##*/}-$connector/status
twin=$(grep -l '^vivid-001-vid-cap$' /sys/class/video4linux/video*/name | cut -d/ -f5)

camera() { # camera FORMAT WIDTH HEIGHT FPS
  put vi/0/enable 0
  put vi/0/format "$1"
  put vi/0/width "$2"
  put vi/0/height "$3"
  put vi/0/fps "$4"
  put vi/0/enable 1
}
picture() { # picture WIDTH HEIGHT FILE: what such a camera gives, as XR24
  v4l2-ctl -d "/dev/$twin" --set-fmt-video=width="$1",height="$2",pixelformat=XR24 --stream-mmap --stream-count=1 \
    --stream-to="$3" >/dev/null 2>&1
}
on_screen() { # the checksum of the screen now
  echo auto >"$debug/crtc-0/crc/control"
  dd if="$debug/crtc-0/crc/data" bs=64 count=2 2>/dev/null | tr -d '\0' | tail -n 1 | cut -d' ' -f2
}
shows() { # shows WIDTH HEIGHT FILE,W,H,X,Y...: what is on the screen is this
  local want
  want=$(./guest-screen crc "$@") || return 1
  wait_until 10 same_screen "$want" || { printf 'the screen has %s, want %s\n' "$(on_screen)" "$want"; return 1; }
}
same_screen() { [[ $(on_screen) == "$1" ]]; }
# The console's, where the kernel has one, was there before.
framebuffers() { echo $(($(grep -c '^framebuffer\[' "$debug/framebuffer") - console)); }
console=0
console=$(framebuffers)
# The kernel lets go of what was on the screen after the commit, in a worker of its own.
same() { is "$("$1")" "$2"; }
shared() { sed -n 's/^Total \([0-9]*\) objects.*/\1/p' /sys/kernel/debug/dma_buf/bufinfo; }
descriptors() { find "/proc/$program/fd" -mindepth 1 | wc -l; }
threads() { find "/proc/$program/task" -mindepth 1 -maxdepth 1 | wc -l; }
state_has() { grep -qF -- "$2" "$mpi/$1/state" || { cat "$mpi/$1/state"; return 1; }; }
more() { # more OBJECT COUNT: so many frames more leave it
  wait_until 20 at_least "$1/stats" frames_out $(($(value "$1/stats" frames_out) + $2))
}
balanced() { # in = shown + dropped + in flight
  local text
  text=$(cat "$mpi/$1/stats")
  awk '{ v[$1] = $2 }
    END { f = v["in_flight:"]; exit !(v["frames_in:"] == v["frames_out:"] + v["dropped:"] + f && f >= 0 && f <= 4) }' \
    <<<"$text" || { printf '%s\n' "$text"; return 1; }
}
crtc_is_off() { sed -n '/^crtc/,/^connector/p' "$debug/state" | grep -q 'active=0'; }
crtc_is_on() { ! crtc_is_off; }

# The same picture from both: no clock in it.
v4l2-ctl -d "$VIVID_CAP" -c osd_text_mode=2
v4l2-ctl -d "/dev/$twin" -c osd_text_mode=2
# Small ones: vkms composes and counts on the CPU, which is slow in here.
picture 320 180 /tmp/small
picture 640 480 /tmp/large
check "reference pictures" test "$(stat -c %s /tmp/small /tmp/large | tr '\n' ' ')" = "230400 1228800 "

serve --load none

echo '== devices and refusals'
check "the connector" device_says "$VKMS_CARD" "connectors: $connector connected"
check "its preferred mode first" grep -qE "^  $connector: 1024x768@60.00 .* more$" $mpi/devices
mkdir $mpi/vi/0 $mpi/vo/0
put vi/0/input "$VIVID_CAP"
check "no such card" refused vo/0/device /dev/dri/renderD128 "names no device"
check "no such mode text" refused vo/0/mode 1280-720 "names no mode"
put vo/0/device "$VKMS_CARD"
put vo/0/connector DP-9
check "no such connector" refused vo/0/enable 1 "it has no DP-9, but $connector"
put vo/0/connector auto
put vo/0/mode 1234x567
check "no such mode" refused vo/0/enable 1 "it has no 1234x567"
put vo/0/mode 640x480
put vo/0/device /dev/dri/card63
check "a card that is not there" refused vo/0/enable 1 "No such file"
put vo/0/device "$VKMS_CARD"
put vo/0/rect 320,0,640,480
check "a place outside the screen" refused vo/0/enable 1 "outside the screen of 640x480"
put vo/0/rect ""

echo '== another program has the card'
id=$(modetest -M vkms -c 2>/dev/null | awk -v name="$connector" '$4 == name { print $1 }')
mkfifo /tmp/stay
exec 9<>/tmp/stay
modetest -M vkms -s "$id:1024x768" <&9 >/tmp/modetest.log 2>&1 &
other=$!
other_has_it() { grep -q "modetest.* y " "$debug/clients"; }
check "modetest shows a picture" wait_until 10 other_has_it
check "enable says who has it" refused vo/0/enable 1 "another program has the card: modetest (pid $other)"
echo >&9
wait $other
check "its picture is gone" wait_until 5 crtc_is_off

echo '== imported, bit by bit'
camera xrgb8888 640 480 10
put vo/0/source vi/0
put vo/0/enable 1
check "frames are shown" wait_until 20 at_least vo/0/stats frames_out 5
check "the mode" is "$(value vo/0/active mode)" 640x480@59.94
check "as they are" is "$(value vo/0/active way)" imported
check "the card scans out the camera's memory" grep -q 'imported=yes' "$debug/framebuffer"
more vo/0 20 >/dev/null
check "no byte was copied" is "$(value vo/0/stats bytes_copied)" 0
check "flips are frames shown" near_in vo/0/stats flips frames_out 1
check "each buffer was imported once" near "$(value vo/0/stats imports)" "$(($(grep -c . <(sed -n '/vi0-/p' $mpi/valloc)) + 6))" 6
check "all frames are accounted for" balanced vo/0
# All of one moment.
cp $mpi/vo/0/stats /tmp/stats
of_then() { sed -n "s/^$1: //p" /tmp/stats; }
repeated=$(of_then repeated_vblanks)
flips=$(of_then flips)
echo "      $flips flips, $repeated vblanks repeated, $(of_then missed_vblanks) missed," \
  "$(of_then capture_to_screen_us) us from camera to screen"
if [[ -z ${REAL_TIME:-} ]]; then
  check "10 pictures a second stay for 6 vblanks of 60" near $((repeated * 10 / flips)) 50 5
  check "hardly one was late" test "$(of_then missed_vblanks)" -le $((flips / 5))
fi
check "the screen is the camera's picture" shows 640 480 /tmp/large,640,480,0,0
check "devices says who has the connector" grep -qE "^  $connector: .*in use by vo/0\$" $mpi/devices
check "and the card" device_says "$VKMS_CARD" "used_by: vo/0"
check "vsys has it" grep -qE '^[0-9]+ +vo ' $mpi/vsys
check "metrics has its flips" grep -qE '^mpifs_vo_flips_total\{object="vo/0"\} [1-9]' $mpi/metrics
check "health" moves $mpi/health
check "a picture of it" test "$(head -c 3 $mpi/vo/0/snapshot.jpg | od -An -tx1 | tr -d ' ')" = ffd8ff
check "the mode cannot change meanwhile" refused vo/0/mode 1024x768 "cannot change while vo/0 is running"

echo '== a part of the screen'
put vo/0/rect 64,32,320,180
camera xrgb8888 320 180 10
check "on a plane of its own" wait_until 10 grep -q '^plane: overlay' $mpi/vo/0/active
check "where it was asked to be" shows 640 480 /tmp/small,320,180,64,32
put vo/0/rect 300,200,320,180
check "elsewhere at once" shows 640 480 /tmp/small,320,180,300,200
check "not outside the screen" refused vo/0/rect 400,200,320,180 "outside the screen"
copied=$(value vo/0/stats bytes_copied)
more vo/0 10 >/dev/null
check "no byte is copied for it" is "$(value vo/0/stats bytes_copied)" "$copied"

echo '== two on one screen'
put vo/0/rect 0,0,320,180
mkdir $mpi/vo/1
put vo/1/device "$VKMS_CARD"
put vo/1/source vi/0
put vo/1/mode 1024x768
check "not in another mode" refused vo/1/enable 1 "it shows 640x480@59.94 for vo/0"
put vo/1/mode auto
put vo/1/rect 160,90,320,180
put vo/1/enable 1
check "both are shown, the later on top" shows 640 480 /tmp/small,320,180,0,0 /tmp/small,320,180,160,90
check "on two planes" test "$(value vo/0/active plane)" != "$(value vo/1/active plane)"
more vo/0 10 >/dev/null
more vo/1 10 >/dev/null
check "flips of the second" near_in vo/1/stats flips frames_out 1
check "one file for both" is "$(grep -c mpifs "$debug/clients")" 1
put vo/1/enable 0
check "the first alone again" shows 640 480 /tmp/small,320,180,0,0
check "and it goes on" more vo/0 5
rmdir $mpi/vo/1

echo '== what the planes do not take is converted'
camera nv12 320 180 10
check "shown" more vo/0 5
check "as XRGB in the card's memory" grep -qx 'way: made xrgb8888 320x180 in drm:card.* by libyuv .*' $mpi/vo/0/active
check "and why" grep -q '^way_why: no plane takes nv12' $mpi/vo/0/active
check "memory" is "$(value vo/0/active memory)" "drm:${VKMS_CARD##*/}"
check "the bytes are counted" test "$(value vo/0/stats bytes_copied)" -gt 1000000
./guest-screen grab "$VKMS_CARD" /tmp/grabbed
likeness=$(./guest-screen psnr /tmp/small /tmp/grabbed)
echo "      $likeness dB between the camera's RGB and what its NV12 became"
check "it is the picture" test "$likeness" -ge 28
check "accounted for" balanced vo/0
camera xrgb8888 640 480 10
put vo/0/rect ""
check "and back to the camera's own" shows 640 480 /tmp/large,640,480,0,0

echo '== unplugged'
lost() { value vo/0/stats "dropped_$1"; }
grown() { (($(lost "$1") > before + $2)); }
before=$(lost device_error)
echo off >"$status"
check "the state says so" wait_until 10 state_has vo/0 "$connector is not connected"
check "the screen is off" wait_until 5 crtc_is_off
check "frames are counted as lost" wait_until 10 grown device_error 5
check "health names it" grep -q "^vo/0: failed: .*$connector is not connected" $mpi/health
check "the camera goes on" more vi/0 5
check "devices knows" wait_until 10 device_says "$VKMS_CARD" "connectors: $connector disconnected"
echo detect >"$status"
check "it comes back" wait_until 10 state_has vo/0 running
check "with its picture" shows 640 480 /tmp/large,640,480,0,0
check "one outage" is "$(value vo/0/stats outages)" 1
check "accounted for" balanced vo/0

echo '== let go for a moment'
modetest -M vkms -s "$id:1024x768" </dev/null >/tmp/modetest.log 2>&1
check "modetest cannot while we show" grep -q 'failed to set mode: Permission denied' /tmp/modetest.log
put vo/0/release 1
check "released says so" state_has vo/0 "let go by hand"
check "master" is "$(value vo/0/active master)" no
check "the screen is as before" crtc_is_off
check "no framebuffer of ours is left" wait_until 5 same framebuffers 0
modetest -M vkms -s "$id:1024x768" <&9 >/tmp/modetest.log 2>&1 &
other=$!
check "modetest shows its picture" wait_until 10 other_has_it
check "which is no error of its" is "$(grep -ci 'failed' /tmp/modetest.log)" 0
check "acquire says who has it" refused vo/0/acquire 1 "another program has the card: modetest"
echo >&9
wait $other
before=$(lost disabled)
check "frames meanwhile are dropped as disabled" wait_until 5 grown disabled 5
put vo/0/acquire 1
check "it is ours again" wait_until 10 state_has vo/0 running
check "with the picture" shows 640 480 /tmp/large,640,480,0,0
check "accounted for" balanced vo/0
put vo/0/enable 0
check "commands want it running" refused vo/0/release 1 "is not running"

echo '== nothing is left behind'
check "the screen is off" crtc_is_off
check "no framebuffer" wait_until 5 same framebuffers 0
check "the card is closed" is "$(grep -c mpifs "$debug/clients")" 0
cycle() { put vo/0/enable 1 && more vo/0 2 >/dev/null && put vo/0/enable 0; }
cycle
fds=$(steady descriptors) tasks=$(steady threads) buffers=$(steady shared) shown=$(value vo/0/stats frames_out)
# Where a machine is emulated in real time one of them takes seconds.
rounds=50
[[ -z ${REAL_TIME:-} ]] || rounds=8
for ((round = 0; round < rounds; round++)); do cycle || break; done
check "$rounds times on and off" is "$round" $rounds
check "descriptors" wait_until 5 same descriptors "$fds"
check "threads" wait_until 5 same threads "$tasks"
check "shared buffers" wait_until 5 same shared "$buffers"
check "framebuffers" wait_until 5 same framebuffers 0
check "frames were shown in between" test "$(value vo/0/stats frames_out)" -gt $((shown + rounds))
check "accounted for" balanced vo/0

if [[ -n ${BOCHS_CARD:-} ]]; then
  echo '== a card that imports nothing and has one plane'
  camera xrgb8888 320 180 10
  put vo/0/device "$BOCHS_CARD"
  put vo/0/mode 800x600
  put vo/0/rect 100,60,320,180
  put vo/0/enable 1
  check "frames are shown" more vo/0 5
  check "copied into a picture of the whole screen" \
    grep -qx 'way: made xrgb8888 320x180 in drm:card.* by libyuv .*' $mpi/vo/0/active
  check "and why" grep -q '^way_why: .*refused the frame' $mpi/vo/0/active
  ./guest-screen grab "$BOCHS_CARD" /tmp/grabbed
  ./guest-screen compose /tmp/wanted 800 600 /tmp/small,320,180,100,60
  check "bit by bit" is "$(./guest-screen psnr /tmp/wanted /tmp/grabbed)" 99
  check "flips" test "$(value vo/0/stats flips)" -gt 5
  put vo/0/enable 0
  check "the card is closed" is "$(grep -c mpifs "/sys/kernel/debug/dri/${BOCHS_CARD##*card}/clients")" 0
fi

put vi/0/enable 0
finish display
