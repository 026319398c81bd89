# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What mount/start, Tests/run and .ci/run share: packages, the Swift tool chain, and what a build is told about itself.
# Sourced, never run.

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

# What the C targets of Package.swift include and link, whatever the traits.
core_packages=(
  ca-certificates git pkg-config binutils libc6-dev libgcc-12-dev libstdc++-12-dev # the tool chain's own needs
  libfuse3-dev fuse3 libv4l-dev libdrm-dev libopenh264-dev libturbojpeg0-dev libyuv-dev libpng-dev libfreetype-dev libbpf-dev
  fonts-dejavu-core # what text in pictures is written with, unless another font is named
)
x264_packages=(libx264-dev)
x265_packages=(libx265-dev)
ffmpeg_packages=(libavformat-dev libavcodec-dev libavutil-dev libswscale-dev)

# How everything that is shipped is built. Package.swift cannot say so, since packages with such flags of their own are refused as
# dependencies. All addresses are bound at start, so that the tables of them are read-only, and no path of this machine goes in.
# shellcheck disable=SC2034 # used by the scripts that source this file
release_options=(
  -c release --static-swift-stdlib
  -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now
  -Xcc "-ffile-prefix-map=$repository=." -Xswiftc -file-prefix-map -Xswiftc "$repository=."
)

say() { printf 'mpifs: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    return 1
  fi
}

# Prints those of the named packages that are not installed, one a line.
missing_packages() {
  local name status
  declare -A installed=()
  while read -r name status; do
    [[ $status == "install ok installed" ]] && installed[$name]=1
  done < <(dpkg-query -W -f '${Package} ${Status}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    [[ -n ${installed[$name]:-} ]] || printf '%s\n' "$name"
  done
}

# Installs what is missing of the named packages, and says what it installs.
ensure_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null; then
    say "no dpkg here; these Debian packages (or what they are called here) must be present: $*"
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  say "installing with apt: ${missing[*]}"
  as_root apt-get -qq update >&2 || say "apt-get update failed; trying with the lists there are"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2 ||
    fail "cannot install them; as root: apt-get install ${missing[*]}"
}

# Puts `swift` on the path, or says what is missing.
ensure_swift() {
  local directory version
  if ! command -v swift >/dev/null; then
    # sudo drops the user's path, so look where tool chains are usually put.
    for directory in /opt/swift/usr/bin /usr/local/swift/usr/bin "${HOME:-/root}/.local/share/swiftly/bin" \
      ${SUDO_USER:+"/home/$SUDO_USER/.local/share/swiftly/bin"}; do
      [[ -x $directory/swift ]] && PATH=$directory:$PATH && break
    done
  fi
  command -v swift >/dev/null ||
    fail "Swift 6.2 or newer is needed and no 'swift' is on the path; https://www.swift.org/install/linux/ says how to get it"
  version=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' | head -n 1)
  [[ $(printf '6.2\n%s\n' "$version" | sort -V | head -n 1) == 6.2 ]] ||
    fail "Swift 6.2 or newer is needed; $(command -v swift) is ${version:-of an unknown version}"
}

# Prints the commit the sources are at, with -dirty when what goes into the binary differs from it.
source_commit() {
  local commit
  # safe.directory: the checkout may belong to the user who called sudo.
  local git=(git -c "safe.directory=$repository" -C "$repository")
  if commit=$("${git[@]}" rev-parse --verify -q HEAD 2>/dev/null); then
    [[ -z $("${git[@]}" status --porcelain -- Sources Package.swift mount/mpifs.conf 2>/dev/null) ]] || commit+=-dirty
    printf '%s\n' "$commit"
  else
    printf 'unknown\n'
  fi
}

# Compiles what the kernel runs to list DMA-BUFs (Sources/CBPF/program), which SwiftPM cannot, with the C compiler of Swift's tool chain. Tells
# Package.swift where it is: MPIFS_BPF, a text that CBPF takes in. The same for every little-endian machine.
# A build goes on without it, and says so.
build_for_kernel() {
  local folder=$repository/.build/bpf source=Sources/CBPF/program/dmabuf.bpf.c compiler objcopy work
  unset MPIFS_BPF
  compiler=$(dirname -- "$(readlink -f -- "$(command -v swift)")")/clang
  objcopy=${compiler%/*}/llvm-objcopy
  [[ -x $compiler ]] || compiler=clang
  mkdir -p -- "$folder"
  work=$(mktemp -d -p "$folder")
  # Its own folder alone is searched, and libbpf's. -g is for its types, without which the kernel takes none.
  if ! (cd -- "$repository" && "$compiler" -target bpfel -mcpu=v3 -O2 -g -Wall -Werror "-ffile-prefix-map=$repository=." -fdebug-compilation-dir=. \
    -ISources/CBPF/include -c "$source" -o "$work/object") 2>"$work/log"; then
    say "the source of rk_dmabuf that is the kernel's BPF iterator is left out: $source does not compile here: $(grep -m 1 -E 'error|not found' "$work/log")"
    rm -rf -- "$work"
    return 0
  fi
  # What is for debuggers doubles it.
  if [[ -x $objcopy ]]; then "$objcopy" --strip-debug "$work/object"; fi
  od -An -v -tx1 "$work/object" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g' >"$work/text"
  # One that is the same keeps its time, so that nothing is built anew.
  cmp -s "$work/text" "$folder/dmabuf.inc" || mv -- "$work/text" "$folder/dmabuf.inc"
  rm -rf -- "$work"
  export MPIFS_BPF=$folder/dmabuf.inc
}

# Sets `trait_options` (for swift build), `packages` and `scratch` from a trait choice: `default`, `none`, or names with commas.
# shellcheck disable=SC2034 # used by the scripts that source this file
choose_traits() {
  packages=("${core_packages[@]}")
  case $1 in
    default)
      trait_options=()
      scratch=$repository/.build
      packages+=("${x264_packages[@]}" "${x265_packages[@]}" "${ffmpeg_packages[@]}")
      ;;
    none)
      trait_options=(--disable-default-traits)
      scratch=$repository/.build-none
      ;;
    *)
      trait_options=(--traits "$1")
      scratch=$repository/.build-${1//,/-}
      [[ ,$1, == *,X264,* ]] && packages+=("${x264_packages[@]}")
      [[ ,$1, == *,X265,* ]] && packages+=("${x265_packages[@]}")
      [[ ,$1, == *,FFmpeg,* ]] && packages+=("${ffmpeg_packages[@]}")
      ;;
  esac
  return 0
}
