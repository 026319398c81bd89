#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: a camera (vivid) as a user has it: its controls as files, beside v4l2-ctl. Prints each check and ends
# with `camera: N checks passed, M failed`.
set -u

# shellcheck source=Tests/guest/checks.sh
source ./checks.sh

c=vi/0/controls
text() { cat "$mpi/$c/$1"; }
reads() { is "$(text "$1")" "$2"; }
# What the device has, asked by the usual tool.
device_has() { is "$(v4l2-ctl -d "$VIVID_CAP" -C "$1" | sed 's/^[^:]*: *//')" "$2"; }
outside() { v4l2-ctl -d "$VIVID_CAP" -c "$1=$2"; }
mode() { stat -c %a "$mpi/$c/$1"; }
help_says() { grep -qE "^$1  .*$2" "$mpi/$c/help" || { grep "^$1  " "$mpi/$c/help"; return 1; }; }
help_is_silent() { ! help_says "$@" >/dev/null; }

serve --load none

echo '== controls as files'
mkdir $mpi/vi/0
put vi/0/input "$VIVID_CAP"
put vi/0/width 640
put vi/0/height 360
put vi/0/fps 10
check "none while the device is not open" test ! -e $mpi/$c
put vi/0/enable 1
check "some while it is" test -e $mpi/$c/brightness
check "frames move" wait_until 20 at_least vi/0/stats frames_out 5

# NAME KIND VALUE of every control that has one value, as the usual tool has it. Volatile ones move.
listed() {
  v4l2-ctl -d "$VIVID_CAP" -l 2>/dev/null | grep -v 'dims=\|volatile\|read_only' |
    sed -nE 's/^ *([a-z0-9_]+) 0x[0-9a-f]+ \((int|int64|bool|menu|intmenu|str|bitmask|button)\) *: .*value=(.*)$/\1 \2 \3/p'
}
every_control_has_its_file() {
  local name kind value bad=0 seen=0
  while read -r name kind value; do
    seen=$((seen + 1))
    [[ -e $mpi/$c/$name ]] || { echo "$name has none"; bad=1; continue; }
    [[ $kind != button ]] || { [[ $(mode "$name") == 200 ]] || { echo "$name: $(mode "$name")"; bad=1; }; continue; }
    value=${value%% flags=*}
    case $kind in
      menu) value=${value#*\(} value=${value%)*} ;;
      intmenu) value=${value#*\(} value=${value%% *} ;;
      str) value=${value#\'} value=${value%\'} ;;
      bitmask) value=$(printf '0x%08x' $((value & 0xffffffff))) ;;
    esac
    [[ $(text "$name") == "$value" ]] || { echo "$name: $(text "$name"), device: $value"; bad=1; }
  done < <(listed)
  echo "      $seen controls"
  ((seen > 50 && bad == 0))
}
check "each control of the device has its file with the device's value" every_control_has_its_file
check "arrays have none" test ! -e $mpi/$c/u16_8x16_matrix
check "but help names them" help_says u16_8x16_matrix "v4l2-ctl"
check "help: range, default" help_says brightness " 0..255 .* 128 "
check "help: the names of a menu" help_says menu "1=Menu Item 1, 3=Menu Item 3, 4=Menu Item 4"
check "help: read-only" help_says read_only_integer_32_bits " info "
moved() { [[ $(text "$1") != "$2" ]]; }
check "what the device counts moves" wait_until 10 moved read_only_integer_32_bits "$(text read_only_integer_32_bits)"

echo '== writing'
put $c/brightness 200
check "integer" device_has brightness 200
put $c/integer_64_bits -9000000000
check "64 bits" device_has integer_64_bits -9000000000
check "negative" reads integer_64_bits -9000000000
put $c/boolean 0
check "boolean" device_has boolean 0
put $c/test_pattern '100% Red'
check "menu by name" device_has test_pattern "7 (100% Red)"
put $c/test_pattern 8
check "menu by number reads its name" reads test_pattern '100% Green'
put $c/integer_menu 42
check "integer menu by value" device_has integer_menu "8 (42 0x2a)"
put $c/string abcd
check "text" device_has string "'abcd'"
put $c/bitmask 0x80402010
check "bits" reads bitmask 0x80402010
check "button" put $c/button 1
check "a button reads as nothing" is "$(cat $mpi/$c/button 2>&1)" ""
check "beyond the range" refused $c/brightness 256 '"256\n" ERANGE(34): is out of range; a whole decimal number, 0..255, default 128'
check "no number" refused $c/brightness bright "EINVAL(22)"
check "a hole of a menu" refused $c/menu 2 "ERANGE(34)"
check "no entry of a menu" refused $c/menu 'Menu Item 2' "one of, by name or number: 1=Menu Item 1"
check "bits it has not" refused $c/bitmask 0x1 "ERANGE(34)"
check "text too long" refused $c/string abcde "2..4 bytes"
check "read-only is 0444" is "$(mode read_only_integer_32_bits)" 444
check "and stays so" refused $c/read_only_integer_32_bits 1 EACCES
check "held by the running stream: EBUSY" refused $c/enable_capture_scaler 0 "EBUSY(16)"
check "with the reason in help" help_says enable_capture_scaler grabbed
check "nothing changed" device_has brightness 200

echo '== the others'
outside contrast 77
check "another program's change shows" wait_until 5 reads contrast 77
outside test_pattern 6
check "of a menu, too" wait_until 5 reads test_pattern '100% White'
outside string zz
check "and of a text" wait_until 5 reads string zz
check "a control that decides another" help_says gain inactive
put $c/gain_automatic 0
check "lets it be" wait_until 5 help_is_silent gain inactive
put $c/gain 55
check "then it can be set" device_has gain 55
put error_log clear
put $c/gain_automatic 1
check "volatile again" wait_until 5 help_says gain volatile
check "a volatile one moves by itself" wait_until 10 moved gain "$(text gain)"
put $c/gain 60
check "without effect now: said" has error_log "taken, but without effect now"
put $c/gain_automatic 0
wait_until 5 help_is_silent gain volatile

# Looking asks the device nothing.
strace -f -e trace=ioctl -o /tmp/looking -p $program 2>/tmp/strace.log &
tracer=$!
wait_until 10 grep -q attached /tmp/strace.log
frames=$(value vi/0/stats frames_out)
for _ in 1 2 3; do cat $mpi/$c/[a-z]* >/dev/null 2>&1; done
check "frames go on meanwhile" wait_until 20 at_least vi/0/stats frames_out $((frames + 5))
kill $tracer
wait $tracer 2>/dev/null
check "seen from outside: buffers were asked for" grep -q VIDIOC_DQBUF /tmp/looking
check "and no control was" is "$(grep -c 'EXT_CTRL\|QUERYCTRL\|G_CTRL' /tmp/looking)" 0

echo '== config'
check "what was set is in it" has config "vi/0/controls/brightness = 200"
check "as it reads" has config "vi/0/controls/test_pattern = 100% Green"
check "what others set is not" is "$(grep -c controls/contrast $mpi/config)" 0
cat $mpi/config >/tmp/saved
put vi/0/enable 0
check "stopped: no files" test ! -e $mpi/$c
outside brightness 3
{ echo replace; cat /tmp/saved; } >/tmp/again
check "a saved configuration" cp /tmp/again $mpi/config
check "brings the controls back" device_has brightness 200
put $c/brightness ''
check "nothing: the default" device_has brightness 128
check "and it leaves the configuration" is "$(grep -c controls/brightness $mpi/config)" 0
put error_log clear
check "a control the device has not" tee $mpi/config <<END
vi/0/enable = 0
END
check "does not stop the channel" tee $mpi/config <<END
vi/0/controls/zoom_absolute = 5
vi/0/enable = 1
END
check "it is said" has error_log "vi/0/controls/zoom_absolute \"5\" ENOENT(2): not set"
check "in the module log, too" has vlog "controls/zoom_absolute"
check "it runs" is "$(cat $mpi/vi/0/state)" running

echo '== an outage'
put $c/brightness 99
outside brightness 5
check "changed from outside" wait_until 5 reads brightness 5
put error_log clear
check "the device is pulled out by one of its own controls" put $c/disconnect 1
check "and comes back" wait_until 20 at_least vi/0/stats source_outages 1
check "with what was set here" wait_until 5 device_has brightness 99
check "which the file shows" reads brightness 99
frames=$(value vi/0/stats frames_out)
check "frames move" wait_until 20 at_least vi/0/stats frames_out $((frames + 5))
check "report has the controls" grep -q '^==> vi/0/controls/help <==' $mpi/report

echo '== back under another number'
mv "$VIVID_CAP" /dev/video42
put $c/disconnect 1
check "and shown" wait_until 20 has vi/0/active "backend: /dev/video42"
check "with what was asked" has vi/0/active "differs: $VIVID_CAP asked, the device came back as /dev/video42"
check "in the module log, too" has vlog " as /dev/video42"
# What came back is shown before it is counted.
outages_are() { is "$(value vi/0/stats source_outages)" "$1"; }
check "the outage is counted" wait_until 5 outages_are 2
frames=$(value vi/0/stats frames_out)
check "frames move" wait_until 20 at_least vi/0/stats frames_out $((frames + 3))
put vi/0/enable 0
mkdir -p /dev/v4l/by-id
ln -s ../../video42 /dev/v4l/by-id/platform-vivid
put vi/0/input /dev/v4l/by-id/platform-vivid
put vi/0/enable 1
check "a stable name is taken" has vi/0/active "backend: /dev/video42"
mv /dev/video42 "$VIVID_CAP"
ln -sfn "../../${VIVID_CAP##*/}" /dev/v4l/by-id/platform-vivid
put $c/disconnect 1
check "and followed" wait_until 20 has vi/0/active "backend: $VIVID_CAP"
check "devices says who has it" wait_until 10 device_says "$VIVID_CAP" "used_by: vi/0"

echo '== memory'
put vi/0/enable 0
put vi/0/input "$VIVID_CAP"
put vi/0/enable 1
check "the device's own" is "$(value vi/0/active memory)" mmap
check "why" is "$(value vi/0/active memory_why)" "the driver's own buffers fit its needs"
put vi/0/enable 0
put vi/0/memory dmabuf
put vi/0/enable 1
check "imported" is "$(value vi/0/active memory)" dmabuf
check "from where" is "$(value vi/0/active allocator)" heap:system
check "since" is "$(value vi/0/active memory_why)" "asked for"
frames=$(value vi/0/stats frames_out)
check "frames move in it" wait_until 20 at_least vi/0/stats frames_out $((frames + 3))
put vi/0/enable 0
put vi/0/memory auto

echo '== a bare sensor'
# The colours of vivid's eight bars, as "r g b" a line.
bars() {
  local file=/tmp/bars.ppm n
  cat $mpi/vi/0/snapshot.jpg >/tmp/bars.jpg && djpeg -pnm /tmp/bars.jpg >$file || return 1
  for n in 1 3 5 7 9 11 13 15; do
    tail -c +$(($(head -n 3 $file | wc -c) + 1 + (200 * 640 + n * 40) * 3)) $file | head -c 3 | od -An -tu1
  done
}
# same_bars A B: colours alike, give or take what the mosaic costs.
same_bars() {
  paste -d ' ' "$1" "$2" | awk '{for (i = 1; i <= 3; i++) {d = $i - $(i + 3); if (d < 0) d = -d; if (d > 12) bad = 1}}
    END {exit bad || NR != 8}' || { paste "$1" "$2"; return 1; }
}
camera() { # camera DEVICE_FORMAT FORMAT
  put vi/0/enable 0
  put vi/0/device_format "$1"
  put vi/0/format "$2"
  put vi/0/enable 1
  wait_until 20 at_least vi/0/stats frames_out 1
}
camera auto nv12
put $c/test_pattern '75% Colorbar'
put $c/osd_text_mode None
put $c/brightness 128
put $c/contrast 128
check "its own format is taken as it is" is "$(value vi/0/active device_format)" NV12
check "and not converted" is "$(value vi/0/active conversion)" ""
settled() { bars >/tmp/bars.txt && [[ $(head -n 1 /tmp/bars.txt | tr -s ' ') == ' 19'?' 19'?' 19'? || $(head -n 1 /tmp/bars.txt | tr -s ' ') == ' 18'?' 18'?' 18'? ]]; }
check "the test picture is on" wait_until 20 settled
bars >/tmp/native
sed 's/^/      /' /tmp/native
check "which has eight colours" is "$(sort -u /tmp/native | wc -l)" 8
for code in RGGB BA81 GBRG GRBG RG10 BYR2 GREY YVYU YV12; do
  if ! v4l2-ctl -d "$VIVID_CAP" --list-formats | grep -q "'$code'"; then
    echo "      this vivid has no $code"
    continue
  fi
  copied=$(value vi/0/stats bytes_copied)
  camera $code auto
  name=$code
  [[ $code != GREY ]] || name=grey
  check "$code: which conversion runs" is "$(value vi/0/active conversion)" "$name -> i420 by libv4lconvert"
  check "$code: pictures move" wait_until 20 at_least vi/0/stats frames_out $(($(value vi/0/stats frames_out) + 3))
  check "$code: what the CPU wrote is counted" is $((($(value vi/0/stats bytes_copied) - copied) % 345600)) 0
  bars >/tmp/converted
  if [[ $code == GREY ]]; then
    # shellcheck disable=SC2016
    check "$code: gray" awk '{if ($1 - $2 > 4 || $2 - $1 > 4 || $1 - $3 > 4 || $3 - $1 > 4) exit 1}' /tmp/converted
  else
    check "$code: the test picture's colours" same_bars /tmp/native /tmp/converted
  fi
done
check "none was damaged" is "$(value vi/0/stats source_damaged)" 0
check "the time it takes shows" at_least vi/0/stats time_mean_us 1
put vi/0/enable 0
check "what is no format" refused vi/0/device_format RGGB8 "is no format"
put vi/0/device_format MJPG
check "what the device has not" refused vi/0/enable 1 "mjpeg is not offered or cannot be used: YUYV"
put vi/0/device_format auto
put vi/0/enable 1
check "it runs again" wait_until 20 at_least vi/0/stats frames_out $(($(value vi/0/stats frames_out) + 3))

finish camera
