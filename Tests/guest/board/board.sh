# SPDX-License-Identifier: Apache-2.0
# Runs in the guest, under busybox: the default configuration at 640x360 with no device but the processor, every encoder of the
# bundle, and what all that takes of memory.
set -u
# shellcheck source=Tests/guest/board-checks.sh
. ./board-checks.sh
of_process() { sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" /proc/$pid/status; }
first_bytes() { timeout 120 cat "/mpi/$1" 2>/dev/null | head -c "$2" | hexdump -v -e '1/1 "%02x"'; }
# codes CHANNEL CODEC BACKEND: one more encoder of the small picture
codes() {
  mkdir "/mpi/venc/$1"
  put "venc/$1/codec" "$2"
  put "venc/$1/backend" "$3"
  put "venc/$1/bitrate" 300
  put "venc/$1/gop" 10
  put "venc/$1/source" vpss/0/1
  put "venc/$1/enable" 1
  becomes "$3 codes $2" 60 "[ \"\$(value venc/$1/stats frames_out)\" -gt 10 ]"
  is "by" "$(value "venc/$1/active" backend)" "$3"
}

./mpifs --version | sed 's/^/      /'
sed -e 's/^\(vi.0.width =\).*/\1 640/' -e 's/^\(vi.0.height =\).*/\1 360/' -e 's/^\(vi.0.fps =\).*/\1 10/' \
  -e 's/^\(vpss.0.0.width =\).*/\1 640/' -e 's/^\(vpss.0.0.height =\).*/\1 360/' \
  -e 's/^\(vpss.0.1.width =\).*/\1 320/' -e 's/^\(vpss.0.1.height =\).*/\1 180/' /opt/mpifs-*/mpifs.conf >small.conf

echo "== the default configuration at 640x360"
./mpifs --at /mpi --load small.conf >log 2>err &
pid=$!
becomes "the tree is served" 20 'grep -q "^mpifs: serving /mpi" log'
for channel in 0 1; do
  becomes "venc/$channel codes" 60 "[ \"\$(value venc/$channel/stats frames_out)\" -gt 20 ]"
done
becomes "venc/2 codes" 60 '[ "$(value venc/2/stats frames_out)" -gt 1 ]'
is "the large stream" "$(value venc/0/active width)x$(value venc/0/active height)" 640x360
is "the small one, scaled" "$(value venc/1/active width)x$(value venc/1/active height)" 320x180
case $(first_bytes venc/0/stream 5) in 00000001[26]7) ok "H.264 begins with its parameter sets" ;; *) bad "H.264 begins otherwise" ;; esac
# It waits two seconds for a frame, which may not be enough here.
becomes "a picture is a JPEG" 10 '[ "$(first_bytes venc/0/snapshot.jpg 3)" = ffd8ff ]'
nothing_stands
sed 's/^/      venc 0: /' /mpi/venc/0/active
resident=$(of_process VmRSS)
own=$(of_process RssAnon)
echo "      $((resident / 1024)) MiB resident, of them $((own / 1024)) MiB its own; $(of_process Threads) threads"
if [ "$own" -gt 0 ] && [ "$own" -lt 65536 ]; then ok "its own memory is below 64 MiB"; else bad "its own memory: $own kB"; fi

echo "== every encoder of the bundle"
codes 3 h264 openh264
case $(cat /opt/mpifs-*/VERSION) in *X264*) codes 4 h264 x264 ;; *) echo "NOT RUN: this bundle was built without x264" ;; esac
case $(cat /opt/mpifs-*/VERSION) in *X265*) codes 5 h265 x265 ;; *) echo "NOT RUN: this bundle was built without x265" ;; esac
echo "      $(($(of_process VmRSS) / 1024)) MiB resident, of them $(($(of_process RssAnon) / 1024)) MiB its own; $(of_process Threads) threads"

echo "== end"
kill $pid
wait $pid
is "exit status" $? 0
cat err
grep -q ' /mpi ' /proc/mounts && bad "still mounted"
free -m | sed 's/^/      /'

echo "board: $passed checks passed, $failed failed"
[ $failed = 0 ]
