# SPDX-License-Identifier: Apache-2.0
# Runs in the guest, under busybox: the program on real drivers, looked at as a user looks at it.
# The camera is vivid, the encoder vicodec; faults are pressed with v4l2-ctl, as an engineer would pull a cable.
set -u
# shellcheck source=Tests/guest/board-checks.sh
. ./board-checks.sh

echo "== start"
./mpifs --at /mpi --input "$VIVID_CAP" --load guest.conf >log 2>err &
pid=$!
becomes "the tree is served" 20 'grep -q "^mpifs: serving /mpi" log'
[ -s err ] && cat err
if [ $failed != 0 ]; then
  echo "program: $passed checks passed, $failed failed"
  exit 1
fi
becomes "frames come" 10 '[ "$(value venc/0/stats frames_out)" -gt 5 ] 2>/dev/null'
becomes "cat shows what read shows" 10 '[ "$(cat /mpi/vi/0/state)" = "$(read -r line </mpi/vi/0/state && echo "$line")" ]'
cat /mpi/vi/0/active /mpi/venc/0/active | sed 's/^/      /'
is "input" "$(value vi/0/active input | cut -d' ' -f1)" vivid
is "memory" "$(value vi/0/active memory)" mmap
is "format" "$(value vi/0/active format)" nv12
becomes "it runs" 10 '[ "$(cat /mpi/vi/0/state)" = running ]'
nothing_stands
is "it goes by its name" "$(pidof mpifs)" $pid
# foreign: libraries the program has mapped that did not come with the bundle
foreign() { sed -n 's/^.* \(\/.*\.so[.0-9]*\)$/\1/p' /proc/$pid/maps | sort -u | grep -v '^/opt/mpifs-'; }
libraries() { grep -o '/opt/mpifs-.*\.so[.0-9]*' /proc/$pid/maps | sort -u | wc -l; }
is "libraries of this machine in use" "$(foreign)" ""
if [ "$(libraries)" -ge 10 ]; then ok "the bundle's own: $(libraries)"; else bad "the bundle's own: $(libraries)"; fi

echo "== camera to encoder without a copy"
is "auto takes the device" "$(value venc/0/active backend)" "$VICODEC_ENC"
is "bytes copied by the CPU, capture" "$(value vi/0/stats bytes_copied)" 0
is "bytes copied by the CPU, encoder" "$(value venc/0/stats bytes_copied)" 0
record venc/0 s.fwht
is "the stream begins with a key frame's header" "$(head -c 8 s.fwht | hexdump -e '8/1 "%02x"')" 4f4f4f4fffffffff
timeout 240 v4l2-ctl -d "$VICODEC_DEC" --set-fmt-video-out=width=1280,height=720,pixelformat=FWHT \
  --set-fmt-video=width=1280,height=720,pixelformat=NV12 --stream-mmap --stream-out-mmap --stream-from=s.fwht \
  --stream-to=s.nv12 >decode.log 2>&1
pictures=$(($(stat -c %s s.nv12) / 1382400))
if [ $pictures -ge 5 ]; then ok "the kernel decodes it: $pictures pictures"; else bad "decoded pictures: $pictures"; fi
record venc/1 s.h264
case $(head -c 5 s.h264 | hexdump -e '5/1 "%02x"') in
  0000000167) ok "H.264 begins with its parameter sets: $(stat -c %s s.h264) bytes" ;;
  *) bad "H.264 begins with $(head -c 5 s.h264 | hexdump -e '5/1 "%02x"')" ;;
esac

echo "== a media file, whose libraries are loaded late"
if grep -q '^traits:.*FFmpeg' /opt/mpifs-*/VERSION; then
  mkdir /mpi/vi/1
  put vi/1/input file:/with/s.h264
  # Loading a hundred libraries may take longer here than a write waits; it goes on all the same.
  (echo 1 >/mpi/vi/1/enable) 2>/dev/null
  becomes "it plays" 20 '[ "$(value vi/1/stats frames_out)" -gt 3 ]'
  is "it is the file" "$(value vi/1/active input | cut -d' ' -f1)" file
  is "libraries of this machine in use" "$(foreign)" ""
  if [ "$(libraries)" -ge 30 ]; then ok "the bundle's own: $(libraries)"; else bad "the bundle's own: $(libraries)"; fi
  put vi/1/enable 0
  becomes "and is removed" 10 'rmdir /mpi/vi/1'
else
  echo "NOT RUN: this bundle was built without FFmpeg"
fi
rm -f s.*

echo "== live"
put venc/0/gop 5
is "gop reads back" "$(cat /mpi/venc/0/gop)" 5
becomes "and takes effect in the device" 10 'grep -q "^gop: effective" /mpi/venc/0/effect'
echo 1 >/mpi/venc/0/idr
becomes "so does a key frame" 10 'grep -q "^idr: effective" /mpi/venc/0/effect'
sed 's/^/      /' /mpi/venc/0/effect

echo "== memory"
total=$(sed -n 's/^Total [0-9]* objects, \([0-9]*\) bytes/\1/p' /sys/kernel/debug/dma_buf/bufinfo)
if [ "$total" -gt 0 ]; then ok "the kernel's DMA-BUFs: $total bytes"; else bad "no DMA-BUF"; fi
names=$(grep -c 'vi0-' /sys/kernel/debug/dma_buf/bufinfo)
is "each camera buffer carries its name" "$names" "$(grep -c ' 0x1000' /mpi/valloc | awk -v all="$names" '{ print ($1 >= all) ? all : $1 }')"

echo "== faults of the camera"
v4l2-ctl -d "$VIVID_CAP" -c percentage_of_dropped_buffers=50
becomes "dropped by the device" 10 '[ "$(value vi/0/stats source_dropped)" -gt 3 ]'
v4l2-ctl -d "$VIVID_CAP" -c percentage_of_dropped_buffers=0
v4l2-ctl -d "$VIVID_CAP" -c inject_v4l2_buf_flag_error=1
becomes "a damaged picture" 10 '[ "$(value vi/0/stats source_damaged)" = 1 ]'
v4l2-ctl -d "$VIVID_CAP" -c inject_fatal_streaming_error=1
becomes "a fatal error starts the stream anew" 10 '[ "$(value vi/0/stats source_restarts)" = 1 ]'
before=$(value venc/0/stats frames_out)
becomes "and pictures are coded again" 10 '[ "$(value venc/0/stats frames_out)" -gt "$((before + 3))" ]'
v4l2-ctl -d "$VIVID_CAP" -c disconnect=1
becomes "a camera that leaves is told in the log" 10 'grep -q "the device is gone" /mpi/vlog'
becomes "it is taken back" 20 '[ "$(value vi/0/stats source_outages)" = 1 ] && [ "$(cat /mpi/vi/0/state)" = running ]'
before=$(value venc/1/stats frames_out)
becomes "and pictures are coded again" 10 '[ "$(value venc/1/stats frames_out)" -gt "$((before + 3))" ]'
nothing_stands

echo "== refusals"
mkdir /mpi/vi/1
# says_no WORDS: enabling fails. A builtin's failure is told by its status; the reason is in the log.
says_no() {
  if (echo 1 >/mpi/vi/1/enable) 2>/dev/null; then taken=yes; fi
  [ -n "$taken" ] || tail -n 1 /mpi/error_log | grep -q "$1"
}
# refused WHAT INPUT WORDS: such an input is refused in these words. What is not answered in time is refused in others, and asked again.
refused() {
  put vi/1/input "$2"
  taken=
  becomes "$1" 10 "says_no '$3'"
  [ -z "$taken" ] || bad "$2 was taken"
  tail -n 1 /mpi/error_log | sed 's/^/      /'
}
refused "a camera in use" "$VIVID_CAP" busy
refused "a camera that is not there" /dev/video99 "No such"
refused "a device that is no camera" "$VIM2M" "no capture device"
becomes "what was refused is removed" 10 'rmdir /mpi/vi/1'

echo "== leaks"
fds() { ls /proc/$pid/fd | wc -l; }
cycle() {
  put vi/0/enable 0
  put vi/0/enable 1
}
# Every encoder codes: what it opens for that is open.
coding() {
  for channel in 0 1; do
    coded=$(value venc/$channel/stats frames_out)
    becomes "venc/$channel codes after a stop" 20 "[ \"\$(value venc/$channel/stats frames_out)\" -gt $((coded + 3)) ]"
  done
}
cycle
becomes "it runs after a stop" 10 '[ "$(cat /mpi/vi/0/state)" = running ]'
coding
before=$(fds)
i=0
while [ $i -lt 20 ]; do
  cycle
  i=$((i + 1))
done
coding
becomes "descriptors after 20 stops and starts: $before" 10 '[ "$(fds)" -le "$before" ]'

echo "== end"
kill $pid
wait $pid
is "exit status" $? 0
grep -q ' /mpi ' /proc/mounts && bad "still mounted"
becomes "the kernel has no DMA-BUF" 10 '[ "$(tail -n 1 /sys/kernel/debug/dma_buf/bufinfo)" = "Total 0 objects, 0 bytes" ]'

echo "== the start script"
# started OPTION...: starts anew, says whether it serves
started() {
  rm -f log
  ./mpifs --load none "$@" >log 2>err &
  pid=$!
  until_true 20 'grep -qs "^mpifs: serving" log'
}
kill_it() {
  kill "$1" $pid
  wait $pid 2>/dev/null
}
rm -f /dev/fuse
if started; then ok "it makes a missing /dev/fuse"; else bad "it makes a missing /dev/fuse: $(cat err)"; fi
kill_it -KILL
if ls /mpi 2>/dev/null; then bad "a killed program's mount is dead"; else ok "a killed program's mount is dead"; fi
if started; then ok "the next start takes it away"; else bad "the next start takes it away: $(cat err)"; fi
kill_it -TERM
rmdir /mpi
mount -o remount,ro /
./mpifs --load none >/tmp/refused 2>&1
is "status where / is read-only" $? 1
mount -o remount,rw /
grep -q 'say where the tree is to be, for example --at /tmp/mpi' /tmp/refused && ok "and it says what to do" || bad "$(cat /tmp/refused)"
if started --at /tmp/deep/mpi; then ok "elsewhere it makes the folders"; else bad "elsewhere it makes the folders: $(cat err)"; fi
kill_it -TERM

echo "program: $passed checks passed, $failed failed"
[ $failed = 0 ]
