#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# vm.sh - run a command against real Linux V4L2, DMA-BUF, DRM and FUSE drivers, in a throw-away qemu guest.
#
# The host kernel needs no module and no KVM: the guest is emulated in software (TCG), boots in about two seconds,
# and holds nothing but a kernel, busybox, v4l-utils, libdrm's test tools and what --with and --add bring in.
#
#   vm.sh deps [--install]          the apt packages this script needs (--install: apt-get them; wants root)
#   vm.sh build [--force] [--keep]  prepare kernel and initramfs in the cache (nothing to do when already there)
#   vm.sh run [options] 'command'   boot, run the command (sh syntax, as root, in /with), print its output, and exit
#                                   with its exit status
#       --with DIR      copy DIR into the guest at /with, with the shared libraries its ELF files need
#       --add PATH      copy a host file or folder into the guest at the same path, libraries too (repeatable)
#       --out DIR       a host folder, mounted read-write in the guest at /out (9p): for results
#       --timeout S     time limit in seconds for boot and command together (default 120)
#       --append ARGS   more kernel command line: driver options such as vivid.n_devs=2
#       --mem MB, --smp N                    guest size (default: 1024 plus room for the initramfs; 2 CPUs)
#       --qemu ARG      one more qemu argument (repeatable): --qemu -device --qemu virtio-gpu-pci
#       --console FILE  keep the kernel log there
#       --virtual-time  the guest's clock counts instructions, and idle time is skipped: frame rates and timeouts no
#                       longer depend on how busy the host is, sleeps cost nothing, CPUs take turns on one thread
#       --strict        a kernel WARNING, BUG or oops makes the run fail even if the command succeeded
#   vm.sh shell [the same options]  an interactive guest shell on the serial line (leave it with exit)
#   vm.sh where                     the cache folder of the chosen kernel (kernel, config, fragment, initramfs.cpio)
#   vm.sh clean                     remove the cache
#
# Exit status of run: the command's own (128+n where a signal killed it); 124 time limit; 125 no status came back
# (the kernel panicked, qemu failed), or --strict and the kernel complained; 2 bad usage.
#
# Two kernels, chosen with --kernel or VM_KERNEL, both from Debian's own packages:
#   custom  (default) a small kernel built here from linux-source with every test driver built in, plus what no
#           Debian kernel has: DMABUF_SYSFS_STATS, the CMA heap with its debugfs, SW_SYNC.
#   stock   Debian's linux-image as shipped; the drivers it lacks (vim2m, vicodec, visl, vimc, vkms; dma-heap where
#           it is not in) are built as modules from the matching linux-source. Ready far sooner, boots slower,
#           no DMABUF_SYSFS_STATS, no CMA heap.
# Kernel series: --series or VM_SERIES, 6.12 (default), 6.1, or 5.10 (stock alone), or `unstable`: the newest Debian has, as shipped, with no
# module added. Cache folder: VM_CACHE. Build jobs: VM_JOBS.
#
# Machine: --arch or VM_ARCH, x86_64 (default) or aarch64 (a board of QEMU's, `virt` with Cortex-A72; stock kernel, 6.12 or 5.10). What
# is not for this machine's kind comes out of mount/foreign.sh's folder, which is made then.
#
# What the guest command finds in its environment (a variable is unset where the driver is not there):
#   VIVID_CAP VIVID_OUT VIVID_META_CAP VIM2M VICODEC_ENC VICODEC_DEC VICODEC_SL VISL VIMC_RAW   /dev/videoN
#   MEDIA_<MODEL> /dev/mediaN      VKMS_CARD VGEM_CARD VIRTIO_GPU_CARD BOCHS_CARD               /dev/dri/cardN
# Node numbers follow probe order and change with driver options: use the variables. /vm/config has the kernel's options that are set.
set -euo pipefail

# shellcheck source=mount/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../mount/setup.sh"
# shellcheck source=mount/foreign.sh
source "$repository/mount/foreign.sh"

VM_ARCH=${VM_ARCH:-x86_64}
APT_PACKAGES="qemu-system-x86 busybox-static cpio kmod v4l-utils libdrm-tests fuse3 gcc gcc-12 libc6-dev make bc bison flex perl libelf-dev libssl-dev xz-utils binutils pahole ca-certificates"

if [ "$VM_ARCH" = aarch64 ]; then
    VM_KERNEL=stock
    APT_PACKAGES="$APT_PACKAGES qemu-system-arm qemu-user-static gcc-12-aarch64-linux-gnu binutils-aarch64-linux-gnu"
fi
VM_KERNEL=${VM_KERNEL:-custom}
VM_SERIES=${VM_SERIES:-6.12}
VM_CACHE=${VM_CACHE:-$cache/guest}
VM_JOBS=${VM_JOBS:-$(nproc)}

# Programs of the host that every guest gets (those that are installed here).
TOOLS="bash v4l2-ctl v4l2-compliance v4l2-dbg media-ctl modetest proptest vbltest drmdevice fusermount3 strace"
# Modules the stock guest loads at boot, those that not every Debian kernel has built in, and ones it only carries.
STOCK_LOAD="virtio_pci 9pnet_virtio 9p fuse cuse vivid vim2m vicodec visl vimc vkms vgem"
STOCK_MEMORY="dma-heap system_heap"
STOCK_CARRY="virtio-gpu bochs virtio_console virtio-rng"

say()  { printf 'vm: %s\n' "$*" >&2; }
die()  { say "$*"; exit 125; }
usage() { say "$*"; say "see the head of $0"; exit 2; }

# ---------------------------------------------------------------------------------------------------------- build

# Added to `make tinyconfig`. Every line is checked after olddefconfig: a line that did not take stops the build.
fragment() {
    cat <<'EOF'
# platform: q35 (PCI, ACPI) or microvm (virtio-mmio), serial console
CONFIG_64BIT=y
CONFIG_EXPERT=y
CONFIG_SMP=y
CONFIG_NR_CPUS=8
CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y
CONFIG_KERNEL_GZIP=y
CONFIG_HYPERVISOR_GUEST=y
CONFIG_PARAVIRT=y
CONFIG_PVH=y
CONFIG_ACPI=y
CONFIG_PCI=y
CONFIG_PCI_MSI=y
CONFIG_X86_X2APIC=y
CONFIG_NO_HZ_IDLE=y
CONFIG_HIGH_RES_TIMERS=y
CONFIG_HZ_250=y
CONFIG_PREEMPT_VOLUNTARY=y
CONFIG_PRINTK=y
CONFIG_BUG=y
CONFIG_KALLSYMS=y
CONFIG_STACKTRACE=y
CONFIG_UNWINDER_FRAME_POINTER=y
CONFIG_FTRACE=y
CONFIG_ENABLE_DEFAULT_TRACERS=y
CONFIG_MAGIC_SYSRQ=y
CONFIG_MODULES=y
CONFIG_MODULE_UNLOAD=y
CONFIG_IKCONFIG=y
CONFIG_IKCONFIG_PROC=y
CONFIG_TTY=y
CONFIG_UNIX98_PTYS=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
# off: only build time
CONFIG_LEGACY_PTYS=n
CONFIG_VT=n
CONFIG_INPUT_KEYBOARD=n
CONFIG_INPUT_MOUSE=n
CONFIG_SERIO=n
CONFIG_HID_SUPPORT=n
CONFIG_USB_SUPPORT=n
CONFIG_INTEL_MEI=n
CONFIG_SCHED_MC_PRIO=n
CONFIG_CPU_FREQ=n
CONFIG_CPU_IDLE=n
CONFIG_THERMAL=n
CONFIG_ACPI_PROCESSOR=n
CONFIG_ACPI_AC=n
CONFIG_ACPI_BATTERY=n
CONFIG_ACPI_FAN=n
CONFIG_ACPI_THERMAL=n
# processes and system calls
CONFIG_BLK_DEV_INITRD=y
CONFIG_RD_GZIP=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_MULTIUSER=y
CONFIG_SYSVIPC=y
CONFIG_POSIX_MQUEUE=y
CONFIG_POSIX_TIMERS=y
CONFIG_FUTEX=y
CONFIG_EPOLL=y
CONFIG_SIGNALFD=y
CONFIG_TIMERFD=y
CONFIG_EVENTFD=y
CONFIG_SHMEM=y
CONFIG_AIO=y
CONFIG_IO_URING=y
CONFIG_ADVISE_SYSCALLS=y
CONFIG_MEMBARRIER=y
CONFIG_RSEQ=y
CONFIG_FILE_LOCKING=y
CONFIG_FHANDLE=y
CONFIG_INOTIFY_USER=y
CONFIG_FANOTIFY=y
CONFIG_NAMESPACES=y
CONFIG_USER_NS=y
CONFIG_PID_NS=y
CONFIG_NET_NS=y
CONFIG_SECCOMP=y
CONFIG_ELF_CORE=y
CONFIG_COREDUMP=y
CONFIG_KCMP=y
# file systems
CONFIG_PROC_FS=y
CONFIG_PROC_SYSCTL=y
CONFIG_PROC_PAGE_MONITOR=y
CONFIG_SYSFS=y
CONFIG_TMPFS=y
CONFIG_TMPFS_POSIX_ACL=y
CONFIG_TMPFS_XATTR=y
CONFIG_MEMFD_CREATE=y
CONFIG_HUGETLBFS=y
CONFIG_DEVTMPFS=y
CONFIG_DEVTMPFS_MOUNT=y
CONFIG_CONFIGFS_FS=y
CONFIG_DEBUG_FS=y
CONFIG_DEBUG_FS_ALLOW_ALL=y
CONFIG_FUSE_FS=y
CONFIG_CUSE=y
CONFIG_NETWORK_FILESYSTEMS=y
CONFIG_9P_FS=y
CONFIG_9P_FS_POSIX_ACL=y
# net (loopback only) and virtio
CONFIG_NET=y
CONFIG_UNIX=y
CONFIG_INET=y
CONFIG_IPV6=n
CONFIG_ETHTOOL_NETLINK=n
CONFIG_NETDEVICES=n
CONFIG_WIRELESS=n
CONFIG_NET_9P=y
CONFIG_NET_9P_VIRTIO=y
CONFIG_VIRTIO_MENU=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_MMIO=y
CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES=y
CONFIG_VIRTIO_CONSOLE=y
CONFIG_HW_RANDOM=y
CONFIG_HW_RANDOM_VIRTIO=y
# dma-buf
CONFIG_SYNC_FILE=y
CONFIG_SW_SYNC=y
CONFIG_UDMABUF=y
CONFIG_DMABUF_HEAPS=y
CONFIG_DMABUF_HEAPS_SYSTEM=y
CONFIG_DMABUF_SYSFS_STATS=y
CONFIG_CMA=y
CONFIG_DMA_CMA=y
CONFIG_CMA_SIZE_MBYTES=64
CONFIG_CMA_DEBUGFS=y
CONFIG_CMA_SYSFS=y
CONFIG_DMABUF_HEAPS_CMA=y
# DRM
CONFIG_DRM=y
CONFIG_DRM_VKMS=y
CONFIG_DRM_VGEM=y
CONFIG_DRM_VIRTIO_GPU=y
CONFIG_DRM_BOCHS=y
# media
CONFIG_MEDIA_SUPPORT=y
CONFIG_MEDIA_SUPPORT_FILTER=y
CONFIG_MEDIA_SUBDRV_AUTOSELECT=n
CONFIG_MEDIA_CAMERA_SUPPORT=y
CONFIG_MEDIA_ANALOG_TV_SUPPORT=n
CONFIG_MEDIA_DIGITAL_TV_SUPPORT=n
CONFIG_MEDIA_RADIO_SUPPORT=n
CONFIG_MEDIA_SDR_SUPPORT=n
CONFIG_MEDIA_PLATFORM_SUPPORT=y
CONFIG_MEDIA_TEST_SUPPORT=y
CONFIG_MEDIA_CONTROLLER=y
CONFIG_VIDEO_DEV=y
CONFIG_VIDEO_V4L2_SUBDEV_API=y
CONFIG_VIDEO_ADV_DEBUG=y
CONFIG_V4L_TEST_DRIVERS=y
CONFIG_FB=y
CONFIG_DRM_FBDEV_EMULATION=n
CONFIG_VIDEO_VIVID=y
CONFIG_VIDEO_VIM2M=y
CONFIG_VIDEO_VICODEC=y
CONFIG_VIDEO_VIMC=y
EOF
    # Not in 6.1: the visl driver and FUSE passthrough.
    [ "$VM_SERIES" = 6.1 ] || printf '%s\n' CONFIG_VIDEO_VISL=y CONFIG_VISL_DEBUGFS=y CONFIG_FUSE_PASSTHROUGH=y
}

# Debian's name of the architecture, and what its compiler's programs begin with.
debian_name() { case $VM_ARCH in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) die "no guest for $VM_ARCH" ;; esac; }
tool_prefix() { if is_foreign "$VM_ARCH"; then echo "$VM_ARCH-linux-gnu-"; fi; }

# Lets apt read the lists of the suite that has the kernel, where this machine's own do not.
own_lists() {
    local suites folder=$VM_CACHE/apt-$VM_ARCH-$VM_SERIES
    case $VM_ARCH-$VM_SERIES in
        # Of the security suite the lists are there for arm64, the packages are not.
        aarch64-5.10) suites=bullseye ;;
        *-5.10) suites="bullseye bullseye-security" ;;
        *-unstable) suites=unstable ;;
        aarch64-*) suites="bookworm bookworm-security" ;;
        *) return 0 ;;
    esac
    [ "$VM_KERNEL" = stock ] || die "kernel $VM_SERIES is had as it is shipped alone: --kernel stock"
    if [ -n "$(find "$folder/apt.conf" -mmin -1440 2>/dev/null)" ]; then
        export APT_CONFIG=$folder/apt.conf
    else
        foreign_apt "$folder" "$(debian_name)" "$suites"
    fi
}

need() { # need PROGRAM...: the programs a step wants
    local p lacking=
    for p; do command -v "$p" >/dev/null || lacking="$lacking $p"; done
    [ -z "$lacking" ] || die "missing:$lacking - run: $0 deps --install"
}

fetch() { # fetch PACKAGE FOLDER: unpack a Debian package there without installing it
    local tmp; tmp=$(mktemp -d)
    (cd "$tmp" && apt-get download -qq "$1" 2>"$tmp/log") || { cat "$tmp/log" >&2; rm -rf "$tmp"; die "cannot download $1 (apt-get update first?)"; }
    mkdir -p "$2"; dpkg -x "$tmp"/*.deb "$2"; rm -rf "$tmp"
}

candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: //p'; }

# The package whose version tells which kernel it is.
kernel_package() { case $VM_SERIES in unstable) echo "linux-image-$(debian_name)" ;; *) echo "linux-source-$VM_SERIES" ;; esac; }

# Where the chosen kernel lives: the name changes when anything that shapes it does, Debian's version of the source too.
kernel_dir() {
    local key version
    key=$( { [ "$VM_KERNEL" = custom ] && fragment; echo "$VM_KERNEL $VM_SERIES $STOCK_LOAD $STOCK_CARRY"; if [ "$VM_KERNEL" = stock ]; then echo "$STOCK_MEMORY $VM_ARCH"; fi; } | sha256sum | cut -c1-12)
    version=$(candidate "$(kernel_package)")
    if [ -z "$version" ] || [ "$version" = "(none)" ]; then
        # Without package lists the newest that is there will do.
        version=$(cd "$VM_CACHE" 2>/dev/null && for f in "$VM_KERNEL-"*"-$key"/kernel; do [ -e "$f" ] && printf '%s\n' "$f"; done | sort -V | tail -1)
        version=${version#"$VM_KERNEL-"}; version=${version%"-$key/kernel"}
    fi
    printf '%s/%s-%s-%s\n' "$VM_CACHE" "$VM_KERNEL" "$(printf '%s' "${version:-$VM_SERIES}" | tr -c 'A-Za-z0-9.+-' _)" "$key"
}

# The version a kernel image says it has: a string its header points to.
image_version() {
    local at; at=$(od -An -tu2 -j526 -N2 "$1" | tr -d ' ')
    dd if="$1" bs=1 skip=$((at + 512)) count=60 status=none | tr '\0' ' ' | cut -d ' ' -f 1
}

# Takes over a kernel that was built before the names told the version, where it is of the version wanted.
adopt() {
    local dir=$1 old
    old=$VM_CACHE/$VM_KERNEL-$VM_SERIES-${dir##*-}
    [ "$VM_KERNEL" = custom ] && [ -e "$old/kernel" ] && [ ! -e "$dir" ] || return 0
    case $(candidate "linux-source-$VM_SERIES") in
        "$(image_version "$old/kernel")"-*) ln -s "${old##*/}" "$dir" ;;
    esac
}

build_custom() { # build_custom FOLDER
    local dir=$1 work=$1/work src line key t0=$SECONDS
    say "fetching linux-source-$VM_SERIES $(candidate "linux-source-$VM_SERIES")"
    fetch "linux-source-$VM_SERIES" "$work"
    tar -C "$work" -xf "$work/usr/src/linux-source-$VM_SERIES.tar.xz"
    rm -rf "${work:?}/usr"; src=$work/linux-source-$VM_SERIES
    fragment >"$dir/fragment"
    make -s -C "$src" O="$work/o" tinyconfig >"$dir/build.log" 2>&1
    (cd "$src" && scripts/kconfig/merge_config.sh -m -O "$work/o" "$work/o/.config" "$dir/fragment") >>"$dir/build.log" 2>&1
    make -s -C "$src" O="$work/o" olddefconfig >>"$dir/build.log" 2>&1
    while IFS= read -r line; do
        key=${line%%=*}
        case $line in
            '#'* | '') ;;
            *=n) ! grep -q "^$key=" "$work/o/.config" || die "kernel option did not take: $line" ;;
            *) grep -qxF "$line" "$work/o/.config" || die "kernel option did not take: $line" ;;
        esac
    done <"$dir/fragment"
    say "building the kernel with $VM_JOBS jobs (about 15 CPU minutes); log: $dir/build.log"
    # A line now and then says that it goes on: whoever runs this may take silence for a hang.
    nice -n 10 make -C "$src" O="$work/o" -j"$VM_JOBS" KBUILD_BUILD_USER=vm KBUILD_BUILD_HOST=vm bzImage 2>&1 |
        awk -v file="$dir/build.log" '{ print >>file } ++n % 250 == 0 { print "vm: kernel build, " n " steps done" >"/dev/stderr" }' ||
        { tail -20 "$dir/build.log" >&2; die "the kernel did not build"; }
    cp "$work/o/arch/x86/boot/bzImage" "$dir/kernel"; cp "$work/o/.config" "$dir/config"
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    say "kernel built in $((SECONDS - t0)) s"
}

# Of an unpacked kernel only what the wanted modules need, uncompressed (busybox modprobe reads no xz): take_modules FOLDER IMAGE VERSION.
take_modules() {
    local dir=$1 image=$2 kver=$3 m f
    mkdir -p "$dir/modules/lib/modules/$kver"
    for m in $STOCK_LOAD $STOCK_MEMORY $STOCK_CARRY; do
        modprobe -d "$image" -S "$kver" -a --show-depends "$m" 2>/dev/null || say "note: no module $m in $kver"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while IFS= read -r f; do
        case $f in *.xz) xz -dc "$f" >"$dir/modules/lib/modules/$kver/$(basename "$f" .xz)" ;; *) cp "$f" "$dir/modules/lib/modules/$kver/" ;; esac
    done
    cp "$image/lib/modules/$kver"/modules.{order,builtin,builtin.modinfo} "$dir/modules/lib/modules/$kver/"
    depmod -b "$dir/modules" "$kver"
}

# The newest kernel, whose packages have parts; its compiler is newer than any here, so that no module is built for it.
build_unstable() { # build_unstable FOLDER
    local dir=$1 work=$1/work abi t0=$SECONDS
    abi=$(apt-cache depends "$(kernel_package)" | sed -n 's/^  Depends: linux-image-//p' | head -1)
    say "fetching linux-binary-$abi and linux-modules-$abi (120 MB)"
    fetch "linux-binary-$abi" "$work/image"
    fetch "linux-modules-$abi" "$work/image"
    fetch "linux-base-$abi" "$work/image" # what is built in
    ln -s usr/lib "$work/image/lib"
    depmod -b "$work/image" "$abi"
    take_modules "$dir" "$work/image" "$abi"
    cp "$work/image/lib/modules/$abi/config" "$dir/config"
    cp "$work/image/lib/modules/$abi/vmlinuz" "$dir/kernel"
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    say "kernel ready in $((SECONDS - t0)) s"
}

build_stock() { # build_stock FOLDER
    local dir=$1 work=$1/work image abi kver src headers oot m compiler prefix t0=$SECONDS
    if [ "$VM_SERIES" = unstable ]; then build_unstable "$dir"; return; fi
    local -a how=()
    prefix=$(tool_prefix)
    # The suite's own kernel goes without its version.
    image=linux-image-$VM_SERIES-$(debian_name)
    case $VM_SERIES in 6.1 | 5.10) image=linux-image-$(debian_name) ;; esac
    abi=$(apt-cache depends "$image" | sed -n 's/^  Depends: linux-image-//p' | head -1); kver=$abi
    [ "$(candidate "linux-image-$abi")" = "$(candidate "linux-source-$VM_SERIES")" ] || say "note: linux-image-$abi and linux-source-$VM_SERIES differ in version"
    say "fetching linux-image-$abi, its headers, and linux-source-$VM_SERIES"
    fetch "linux-image-$abi" "$work/image"
    headers=$work/headers
    for m in "linux-headers-$abi" "$(apt-cache depends "linux-headers-$abi" | sed -n 's/^ *|\?Depends: \(linux-headers-.*-common\)$/\1/p')" \
             "$(apt-cache depends "linux-headers-$abi" | sed -n 's/^ *|\?Depends: <\?\(linux-kbuild-[^:>]*\).*$/\1/p' | head -1):amd64"; do fetch "$m" "$headers"; done
    # The unpacked headers name their installed place in one line; everything else in them is relative.
    sed -i "s#/usr/src/#$headers/usr/src/#" "$headers/usr/src/linux-headers-$abi/Makefile"
    # The compiler that built the kernel may be older than what there is here.
    compiler=$(sed -n 's/.*CROSS_COMPILE)\(gcc-[0-9]*\)$/\1/p' "$headers/usr/src/linux-headers-$abi/.kernelvariables" | head -1)
    command -v "$prefix$compiler" >/dev/null || sed -i "s/$compiler\$/gcc-12/" "$headers/usr/src/linux-headers-$abi/.kernelvariables"
    if is_foreign "$VM_ARCH"; then how=(ARCH="$(debian_name)" CROSS_COMPILE="$prefix"); fi
    fetch "linux-source-$VM_SERIES" "$work"
    src=linux-source-$VM_SERIES
    tar -C "$work" -xf "$work/usr/src/$src.tar.xz" "$src/drivers/media/v4l2-core" "$src/drivers/media/test-drivers" "$src/drivers/gpu/drm/vkms" "$src/drivers/dma-buf"
    oot=$work/oot; mkdir -p "$oot"
    src=$work/$src/drivers
    cp "$src/media/v4l2-core/v4l2-mem2mem.c" "$oot/"
    cp -r "$src/media/test-drivers/vicodec" "$src/media/test-drivers/vimc" "$src/gpu/drm/vkms" "$oot/"
    cp "$src"/media/test-drivers/vim2m.c "$oot/" 2>/dev/null || cp "$src"/media/test-drivers/vim2m/vim2m.c "$oot/"
    echo 'obj-m := v4l2-mem2mem.o vim2m.o vicodec/ vimc/ vkms/' >"$oot/Kbuild"
    # shellcheck disable=SC2016  # make's own variables
    sed -i 's/obj-\$([A-Z0-9_]*)/obj-m/' "$oot"/*/Makefile
    if [ -d "$src/media/test-drivers/visl" ]; then
        cp -r "$src/media/test-drivers/visl" "$oot/"
        # Its trace headers are found through a path into the kernel tree, which the headers package has no copy of.
        sed -i 's#^\#define TRACE_INCLUDE_PATH .*#\#define TRACE_INCLUDE_PATH .#' "$oot"/visl/*.h
        # shellcheck disable=SC2016
        printf '%s\n' 'ccflags-y := -I$(src) -DCONFIG_VISL_DEBUGFS=1' \
            'visl-y := visl-core.o visl-video.o visl-dec.o visl-trace-points.o visl-debugfs.o' 'obj-m := visl.o' >"$oot/visl/Makefile"
        echo 'obj-m += visl/' >>"$oot/Kbuild"
    fi
    # Parts of the kernel that are meant to be built in get what a module has beyond them.
    if ! grep -q '^CONFIG_DMABUF_HEAPS=y' "$work/image/boot/config-$kver"; then
        mkdir "$oot/heaps"
        cp "$src"/dma-buf/dma-heap.c "$src"/dma-buf/heaps/*.[ch] "$oot/heaps/"
        printf '%s\n' '#include <linux/module.h>' 'MODULE_LICENSE("GPL");' 'MODULE_IMPORT_NS(DMA_BUF);' 'EXPORT_SYMBOL_GPL(dma_heap_add);' 'EXPORT_SYMBOL_GPL(dma_heap_get_drvdata);' >>"$oot/heaps/dma-heap.c"
        ! grep -q dma_heap_get_name "$oot/heaps/dma-heap.c" || echo 'EXPORT_SYMBOL_GPL(dma_heap_get_name);' >>"$oot/heaps/dma-heap.c"
        grep -q '^MODULE_LICENSE' "$oot/heaps/system_heap.c" || echo 'MODULE_LICENSE("GPL");' >>"$oot/heaps/system_heap.c"
        grep -q '^MODULE_IMPORT_NS' "$oot/heaps/system_heap.c" || echo 'MODULE_IMPORT_NS(DMA_BUF);' >>"$oot/heaps/system_heap.c"
        mv "$oot/heaps/system_heap.c" "$oot/heaps/system.c"
        if [ -e "$oot/heaps/heap-helpers.c" ]; then m=heap-helpers.o; else m=; fi
        printf '%s\n' 'obj-m := dma-heap.o system_heap.o' "system_heap-y := system.o $m" >"$oot/heaps/Makefile"
        echo 'obj-m += heaps/' >>"$oot/Kbuild"
    fi
    say "building the missing drivers as modules; log: $dir/build.log"
    nice -n 10 make -C "$headers/usr/src/linux-headers-$abi" M="$oot" "${how[@]}" -j"$VM_JOBS" modules >"$dir/build.log" 2>&1 ||
        { tail -20 "$dir/build.log" >&2; die "the modules did not build"; }
    find "$oot" -name '*.ko' -exec "${prefix}strip" --strip-debug {} +
    mkdir -p "$work/image/lib/modules/$kver/updates"
    find "$oot" -name '*.ko' -exec cp -t "$work/image/lib/modules/$kver/updates" {} +
    depmod -b "$work/image" "$kver"
    take_modules "$dir" "$work/image" "$kver"
    cp "$work/image/boot/vmlinuz-$kver" "$dir/kernel"; cp "$work/image/boot/config-$kver" "$dir/config"
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    say "kernel and modules ready in $((SECONDS - t0)) s"
}

copy_elf() { # copy_elf ROOT [SKIP]: names on stdin; copy the shared libraries each ELF file needs, at their own paths
    local root=$1 skip=${2:-/nonexistent} f lib
    local -a files=()
    if is_foreign "$VM_ARCH"; then
        while IFS= read -r f; do
            if [ "$(head -c4 "$f" 2>/dev/null | tr -d '\0')" = $'\177ELF' ]; then files+=("$f"); fi
        done
        [ ${#files[@]} -gt 0 ] || return 0
        foreign_needs "${files[@]}" | while IFS= read -r lib; do
            f=${lib#"$target"}
            [ -e "$root$f" ] || { mkdir -p "$root${f%/*}"; cp -L "$lib" "$root$f"; }
        done
        return
    fi
    while IFS= read -r f; do
        [ "$(head -c4 "$f" 2>/dev/null | tr -d '\0')" = $'\177ELF' ] || continue
        ldd "$f" 2>/dev/null || true
    done | sed -n 's/^.*=> \(\/[^ ]*\) (0x.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (0x.*/\1/p; s/^[[:space:]]*\([^ ]*\) => not found/missing \1/p' | sort -u | while IFS= read -r lib; do
        case $lib in
            "missing "*) say "note: no library ${lib#missing } on this machine" ;;
            "$skip"/*) ;;
            *) [ -e "$root$lib" ] || { mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"; } ;;
        esac
    done
}

guest_init() { # PID 1 of the guest
    cat <<'EOF'
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 TERM=${TERM:-linux}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm /host /out /with
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr
for m in $(cat /vm/load 2>/dev/null); do modprobe "$m" 2>/dev/null; done
mount -t debugfs debugfs /sys/kernel/debug
mount -t configfs configfs /sys/kernel/config 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t fusectl fusectl /sys/fs/fuse/connections 2>/dev/null
ifconfig lo 127.0.0.1 up
hostname vm

# Who is who: one variable per device, into /vm/env.
var() { [ -n "$2" ] && echo "export $1=$2" >>/vm/env; }
for d in /sys/class/video4linux/video*; do
    [ -e "$d/name" ] || continue
    case $(cat "$d/name") in
        vivid-000-vid-cap) v=VIVID_CAP ;;  vivid-000-vid-out) v=VIVID_OUT ;;  vivid-000-meta-cap) v=VIVID_META_CAP ;;
        vim2m) v=VIM2M ;;                  stateful-encoder) v=VICODEC_ENC ;; stateful-decoder) v=VICODEC_DEC ;;
        stateless-decoder) v=VICODEC_SL ;; visl) v=VISL ;;                    'Raw Capture 0') v=VIMC_RAW ;;
        *) continue ;;
    esac
    var $v "/dev/${d##*/}"
done
for d in /sys/bus/media/devices/media*; do
    [ -e "$d/model" ] && var "MEDIA_$(tr 'a-z -' 'A-Z__' <"$d/model" | tr -cd 'A-Z0-9_')" "/dev/${d##*/}"
done
for d in /sys/class/drm/card*; do
    case ${d##*/} in *-*) continue ;; esac
    case $(readlink -f "$d/device/driver" 2>/dev/null)$(readlink -f "$d/device") in
        *vkms*) v=VKMS_CARD ;; *vgem*) v=VGEM_CARD ;; *virtio*) v=VIRTIO_GPU_CARD ;; *bochs*) v=BOCHS_CARD ;; *) continue ;;
    esac
    var $v "/dev/dri/${d##*/}"
done
[ -e /vm/env ] && . /vm/env
. /vm/conf
cd /with

if [ "$VM_MODE" = shell ]; then
    echo "guest $(uname -r) up after $(cut -d' ' -f1 /proc/uptime) s; exit ends it"
    setsid cttyhack sh -l
    poweroff -f
fi

o="trans=virtio,version=9p2000.L,msize=512000,access=any"
mount -t 9p -o $o,cache=none host /host || { echo "vm: no 9p"; poweroff -f; }
if [ "$VM_OUT" = 1 ]; then
    mount -t 9p -o $o,cache=mmap out /out || { echo "vm: no /out"; poweroff -f; }
    # Written back soon: what is in /out survives a panic or the time limit but for the last second.
    echo 50 >/proc/sys/vm/dirty_writeback_centisecs; echo 50 >/proc/sys/vm/dirty_expire_centisecs
fi
cut -d' ' -f1 /proc/uptime >/host/uptime

# Pipes between the command and the 9p files: /dev/stdout can then be opened again, and appends do not race.
mkfifo /vm/o /vm/e
cat /vm/o >>/host/out & co=$!
cat /vm/e >>/host/err & ce=$!
# A stuck command leaves its reason (its processes and where in the kernel each of their threads waits) in the
# kernel log shortly before the host ends the guest.
stuck() {
    sleep $((VM_LIMIT - 5))
    for p in /proc/[0-9]*; do
        case ${p#/proc/} in 1 | self | $co | $ce) continue ;; esac
        [ -n "$(readlink "$p/exe")" ] || continue
        echo "<3>stuck: ${p#/proc/} $(tr '\0' ' ' <"$p/cmdline" | cut -c1-100)" >/dev/kmsg
        for t in "$p"/task/*; do sed "s#^#<3>stuck:   ${t##*/} #" "$t/stack" | head -6 | while IFS= read -r l; do echo "$l" >/dev/kmsg; done; done
    done
}
[ "$VM_LIMIT" -gt 20 ] && stuck 2>/dev/null &

setsid sh /vm/cmd </dev/null >/vm/o 2>/vm/e
rc=$?
# Nothing the command left behind may hold the pipes open.
for p in /proc/[0-9]*; do
    n=${p#/proc/}
    case $n in 1 | $$ | $co | $ce) continue ;; esac
    [ -n "$(readlink "$p/exe")" ] && kill -9 "$n" 2>/dev/null
done
wait $co $ce
[ "$VM_OUT" = 1 ] && { sync; umount /out; }
dmesg >/host/dmesg
echo $rc >/host/rc
poweroff -f
EOF
}

program() { # program NAME: its path on the machine that the guest's programs are from
    if ! is_foreign "$VM_ARCH"; then command -v "$1"; elif [ -e "$target/usr/bin/$1" ]; then echo "$target/usr/bin/$1"; else return 1; fi
}

build_initramfs() { # build_initramfs FOLDER: everything that does not change from run to run
    local dir=$1 root=$1/root t w
    rm -rf "$root"; mkdir -p "$root"/{bin,dev,etc,proc,root,run,sys,tmp,usr/bin,usr/sbin,vm,with}
    # One tree, as on Debian: /bin, /sbin and /lib are the ones in /usr.
    rmdir "$root/bin"; ln -s usr/bin "$root/bin"; ln -s usr/sbin "$root/sbin"
    mkdir -p "$root/usr/lib" "$root/usr/lib64"; ln -s usr/lib "$root/lib"; ln -s usr/lib64 "$root/lib64"
    cp "$(program busybox)" "$root/bin/busybox"
    for t in $(if is_foreign "$VM_ARCH"; then "qemu-$VM_ARCH-static" "$root/bin/busybox" --list; else "$root/bin/busybox" --list; fi); do [ "$t" = busybox ] || ln -sf busybox "$root/bin/$t"; done
    # Not every busybox is the static one.
    echo "$root/bin/busybox" | copy_elf "$root"
    for t in $TOOLS; do
        w=$(program "$t") || continue
        rm -f "$root/bin/$t"; cp -L "$w" "$root/bin/$t"; echo "$root/bin/$t"
    done | copy_elf "$root"
    # Libraries a C++ or Swift program wants even where no tool above does.
    if is_foreign "$VM_ARCH"; then
        # Where programs look for the loader.
        w=$target/usr/lib/ld-linux-$VM_ARCH.so.1; cp -L "$w" "$root/usr/lib/"
        for t in libstdc++.so.6 libgcc_s.so.1 libm.so.6; do w=$(foreign_library "$t"); cp -L "$w" "$root${w#"$target"}"; done
    else for t in libstdc++.so.6 libgcc_s.so.1 libm.so.6 libfuse3.so.3 libdrm.so.2; do
        ldconfig -p | sed -n "s/.*$t (libc6,x86-64.*=> //p" | head -1
    done | while IFS= read -r w; do [ -e "$root$w" ] || { mkdir -p "$root$(dirname "$w")"; cp -L "$w" "$root$w"; }; done; fi
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"; echo 'nobody:x:65534:65534:nobody:/:/bin/false' >>"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    printf '127.0.0.1 localhost vm\n' >"$root/etc/hosts"; echo 'user_allow_other' >"$root/etc/fuse.conf"
    ln -s /proc/self/mounts "$root/etc/mtab"
    # How the kernel was made, for checks that depend on it.
    grep '^CONFIG_' "$dir/config" >"$root/vm/config"
    if [ -d "$dir/modules" ]; then cp -r "$dir/modules/lib/modules" "$root/usr/lib/"; echo "$STOCK_LOAD $STOCK_MEMORY" >"$root/vm/load"; fi
    guest_init >"$root/init"; chmod +x "$root/init"
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$dir/initramfs.cpio.new"
    mv "$dir/initramfs.cpio.new" "$dir/initramfs.cpio"
}

cmd_build() {
    local dir lock
    case $VM_KERNEL in custom | stock) ;; *) usage "--kernel custom or stock" ;; esac
    case $VM_SERIES in 6.12 | 6.1 | 5.10 | unstable) ;; *) usage "--series 6.12, 6.1, 5.10 or unstable" ;; esac
    need busybox cpio "qemu-system-$VM_ARCH" v4l2-ctl modetest
    # One prepares, others that want the same kernel meanwhile wait for it.
    mkdir -p "$VM_CACHE"
    if is_foreign "$VM_ARCH"; then VM_KERNEL=stock; fi
    lock=$VM_CACHE/lock
    [ "$VM_KERNEL" = custom ] || lock=$lock-$VM_KERNEL-$VM_ARCH-$VM_SERIES
    exec 8>"$lock"
    until flock -w 60 8; do say "waiting for another that prepares the kernel"; done
    if is_foreign "$VM_ARCH"; then prepare_foreign "$VM_ARCH"; fi
    own_lists
    dir=$(kernel_dir); adopt "$dir"; mkdir -p "$dir"
    if [ -n "${FORCE:-}" ] || [ ! -e "$dir/kernel" ]; then
        need gcc make bc bison flex perl xz apt-get dpkg depmod modprobe strip
        rm -rf "$dir"; mkdir -p "$dir"
        "build_$VM_KERNEL" "$dir"
    fi
    # The base initramfs is a matter of a second: remake it when this script is newer.
    if [ ! -e "$dir/initramfs.cpio" ] || [ "$0" -nt "$dir/initramfs.cpio" ]; then build_initramfs "$dir"; fi
    say "ready: $dir (kernel $(du -h "$dir/kernel" | cut -f1), initramfs $(du -h "$dir/initramfs.cpio" | cut -f1))"
    exec 8>&-
}

# ------------------------------------------------------------------------------------------------------------ run

boot() { # boot: one run of the guest that cmd_run has described; sets status to qemu's, and fails where the guest did not come to its command
    : >"$work/host/out"; : >"$work/host/err"; : >"$work/console"
    timeout --foreground -k 5 "$limit" "qemu-system-$VM_ARCH" "${args[@]}" "${extra[@]}" -serial "file:$work/console" </dev/null >"$work/qemu" 2>&1 &
    q=$!
    tail -q -s 0.05 -c +1 -f --pid="$q" "$work/host/out" 2>/dev/null & local to=$!
    tail -q -s 0.05 -c +1 -f --pid="$q" "$work/host/err" >&2 2>/dev/null & local te=$!
    status=0; wait "$q" || status=$?
    q=''
    wait "$to" "$te" || true
    [ -e "$work/host/uptime" ]
}

cmd_run() { # cmd_run run|shell ...
    local mode=$1 with='' out='' limit=120 append='' mem='' smp=2 console='' strict='' command='' dir a size rc status line accel=tcg,thread=multi
    local -a add=() extra=() args=()
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --with) with=$2; shift 2 ;;       --add) add+=("$2"); shift 2 ;;    --out) out=$2; shift 2 ;;
            --timeout) limit=$2; shift 2 ;;   --append) append=$2; shift 2 ;;   --mem) mem=$2; shift 2 ;;
            --smp) smp=$2; shift 2 ;;         --qemu) extra+=("$2"); shift 2 ;; --console) console=$2; shift 2 ;;
            --virtual-time) accel=tcg,thread=single; extra+=(-icount "shift=1,sleep=off"); shift ;;
            --strict) strict=1; shift ;;      --arch) VM_ARCH=$2; shift 2 ;;    --kernel) VM_KERNEL=$2; shift 2 ;; --series) VM_SERIES=$2; shift 2 ;;
            --) shift; break ;;               -*) usage "unknown option $1" ;;
            *) [ -z "$command" ] || usage "one command only: quote it"; command=$1; shift ;;
        esac
    done
    if [ $# -gt 0 ]; then
        if [ -n "$command" ] || [ $# -ne 1 ]; then usage "one command only: quote it"; fi
        command=$1
    fi
    [ "$mode" = shell ] || [ -n "$command" ] || usage "no command"
    [ -z "$with" ] || [ -d "$with" ] || usage "--with: no folder $with"
    if is_foreign "$VM_ARCH"; then prepare_foreign "$VM_ARCH"; VM_KERNEL=stock; fi
    own_lists
    dir=$(kernel_dir)
    if [ ! -e "$dir/kernel" ] || [ ! -e "$dir/initramfs.cpio" ] || [ "$0" -nt "$dir/initramfs.cpio" ]; then cmd_build; fi

    work=$(mktemp -d); q='' # not local: the trap uses them
    trap 'if [ -n "${q:-}" ]; then kill "$q" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
    mkdir -p "$work/host" "$work/root/vm"
    printf '%s\n' "$command" >"$work/root/vm/cmd"
    printf 'VM_MODE=%s\nVM_OUT=%s\nVM_LIMIT=%s\n' "$mode" "${out:+1}" "$limit" >"$work/root/vm/conf"
    if [ -n "$with" ]; then
        with=$(cd "$with" && pwd -P)
        cp -a "$with" "$work/root/with"
        find "$with" -type f \( -perm /111 -o -name '*.so*' \) | copy_elf "$work/root" "$with"
    fi
    for a in "${add[@]}"; do
        [ -e "$a" ] || usage "--add: no $a"
        a=$(cd "$(dirname "$a")" && pwd -P)/$(basename "$a")
        mkdir -p "$work/root$(dirname "$a")"; cp -aL "$a" "$work/root$a"
        find -L "$a" -type f \( -perm /111 -o -name '*.so*' \) | copy_elf "$work/root"
    done
    # The guest's /bin and /lib are links into /usr: a second archive must not replace them with folders.
    for a in bin sbin lib lib64; do
        [ ! -d "$work/root/$a" ] || { mkdir -p "$work/root/usr/$a"; cp -a "$work/root/$a/." "$work/root/usr/$a/"; rm -rf "${work:?}/root/$a"; }
    done
    # Archives may be joined: the kernel unpacks one after the other into the same tree.
    { cat "$dir/initramfs.cpio"; (cd "$work/root" && find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet); } >"$work/initrd"
    size=$(($(stat -c %s "$work/initrd") >> 20))
    # KVM is not tried: /dev/kvm may be there and yet run no ordinary kernel (kvm_pvm), and qemu then hangs.
    case $VM_ARCH in
        x86_64) args=(-M q35 -cpu max); line=ttyS0 ;;
        aarch64) args=(-M virt -cpu cortex-a72); line=ttyAMA0 ;;
    esac
    args+=(-accel "$accel" -smp "$smp" -m "${mem:-$((1024 + 3 * size))}"
        -nodefaults -no-user-config -no-reboot -display none -monitor none -device virtio-rng-pci
        -kernel "$dir/kernel" -initrd "$work/initrd"
        -virtfs "local,path=$work/host,mount_tag=host,security_model=none,id=host")
    # A kernel whose clock runs on while this machine has no time for it must not take that for a lockup; a real one meets the time limit.
    case ${extra[*]} in *-icount*) ;; *) append="nowatchdog workqueue.watchdog_thresh=0 rcupdate.rcu_cpu_stall_suppress=1 $append" ;; esac
    args+=(-append "console=$line loglevel=4 panic=-1 oops=panic tsc=reliable $append")
    if [ -n "$out" ]; then mkdir -p "$out"; args+=(-virtfs "local,path=$out,mount_tag=out,security_model=none,id=out"); fi
    if [ "$mode" = shell ]; then
        "qemu-system-$VM_ARCH" "${args[@]}" "${extra[@]}" -serial stdio || true
        exit 0
    fi

    # A kernel that ends before its first program has come to the command was never what is tested: an emulated processor that is starved
    # at the wrong moment can panic while it boots. It is booted again, twice at most.
    local boots=1
    until boot || [ "$status" = 124 ] || [ "$status" = 137 ] || [ "$boots" = 3 ]; do
        boots=$((boots + 1))
        say "the kernel did not come to its command (qemu exit $status), booted again; the last of its log:"; tail -n 12 "$work/console" >&2 || true
    done

    if [ -n "$console" ]; then cat "$work/console" "$work/host/dmesg" >"$console" 2>/dev/null || true; fi
    if [ -n "${VM_TIMES:-}" ]; then say "guest up after $(cat "$work/host/uptime" 2>/dev/null || echo '?') s of guest time"; fi
    if [ -s "$work/host/rc" ]; then rc=$(cat "$work/host/rc")
    elif [ "$status" = 124 ] || [ "$status" = 137 ]; then rc=124; say "time limit of $limit s; the last of the kernel log:"; tail -60 "$work/console" >&2 || true
    else rc=125; say "the guest ended without a status (qemu exit $status); the last of the kernel log:"; cat "$work/qemu" >&2; tail -40 "$work/console" >&2 || true; fi
    if grep -aqE 'WARNING: |BUG: |Oops: |general protection fault|hung task' "$work/host/dmesg" "$work/console" 2>/dev/null; then
        say "the kernel complained:"; grep -ahE 'WARNING: |BUG: |Oops: |general protection fault|hung task' "$work/host/dmesg" "$work/console" 2>/dev/null | sort -u | head -5 >&2
        [ -z "$strict" ] || [ "$rc" != 0 ] || rc=125
    fi
    exit "$rc"
}

case ${1:-} in
    deps)
        if [ "${2:-}" = --install ]; then
            apt-get update -qq
            # shellcheck disable=SC2086  # one word per package
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $APT_PACKAGES
        else echo "$APT_PACKAGES"; fi ;;
    build)
        shift
        while [ $# -gt 0 ]; do
            case $1 in
                --force) FORCE=1; shift ;; --keep) KEEP=1; shift ;;
                --arch) VM_ARCH=$2; shift 2 ;;
                --kernel) VM_KERNEL=$2; shift 2 ;; --series) VM_SERIES=$2; shift 2 ;; *) usage "unknown option $1" ;;
            esac
        done
        case $VM_KERNEL in custom | stock) ;; *) usage "--kernel custom or stock" ;; esac
        cmd_build ;;
    run | shell) cmd_run "$@" ;;
    where) own_lists; kernel_dir ;;
    clean) rm -rf "$VM_CACHE" ;;
    *) usage "no such command: ${1:-}" ;;
esac
