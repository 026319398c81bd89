# shellcheck shell=bash disable=SC2016,SC2154
# SPDX-License-Identifier: Apache-2.0
# Builds for aarch64 on an x86-64 machine, from Debian packages alone: a Swift compiler of this machine's kind with the standard
# library of the other one's. Sourced after setup.sh, never run.
#
# Debian's unstable suite has one Swift for both kinds, which no older suite has; the compiler and the library must be of one version.
# Nothing of that suite is installed: its packages are unpacked in MPIFS_CACHE (default ~/.cache/mpifs), the compiler's for a chroot, and
# in it, at /target, what the other machine has. About 4 GB; made once, in some minutes.

cache=${MPIFS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mpifs}

# What the chroot runs.
foreign_tools=(base-files bash coreutils dash git swiftlang libc6-dev libstdc++-15-dev)
# What programs there are linked with: the packages of setup.sh, under the names of that suite.
foreign_libraries=(
  base-files libc6-dev libgcc-15-dev libstdc++-15-dev
  libfuse3-dev libv4l-dev libdrm-dev libopenh264-dev libturbojpeg0-dev libyuv-dev libpng-dev libfreetype-dev libbpf-dev
  fonts-dejavu-core
  "${x264_packages[@]}" "${x265_packages[@]}" "${ffmpeg_packages[@]}"
)
# What the guest tier's machine runs beside them (Tests/guest/vm.sh).
foreign_guest=(busybox-static bash v4l-utils libdrm-tests strace)
# Nobody runs these there, and they are large.
foreign_unwanted='python3*|libpython3*|perl*|libperl*|systemd*|udev|dpkg'

# Whether programs for an architecture are built by this file's means.
is_foreign() { [[ $1 != "$(uname -m)" ]]; }

# Makes apt read lists of its own from a folder: foreign_apt FOLDER ARCHITECTURE 'SUITE...'. Sets APT_CONFIG for what is called after it.
# A suite is NAME of Debian's, or NAME-security.
foreign_apt() {
  local folder=$1 architecture=$2 suite mirror
  mkdir -p -- "$folder"/{lists/partial,archives/partial}
  : >"$folder/status"
  mirror=$(unset APT_CONFIG && apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
  [[ -n $mirror ]] || fail "apt here reads no lists of Debian's, so there is no mirror to fetch from"
  mirror=${mirror%/}
  for suite in $3; do
    case $suite in
      *-security) printf 'deb %s-security %s main\n' "$mirror" "$suite" ;;
      *) printf 'deb %s %s main\n' "$mirror" "$suite" ;;
    esac
  done >"$folder/sources.list"
  # Valid-Until: a mirror may stand still, and it is the signature that is trusted.
  cat >"$folder/apt.conf" <<END
Dir::State "$folder";
Dir::State::status "$folder/status";
Dir::Cache "$folder";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; "amd64"; };
APT::Sandbox::User "root";
APT::Install-Recommends "false";
END
  export APT_CONFIG=$folder/apt.conf
  apt-get -qq update >&2 || [[ -n $(find "$folder/lists" -maxdepth 1 -name '*_Packages*' -print -quit) ]] ||
    fail "cannot read Debian's lists of $3 at $mirror"
}

# Unpacks packages and all that they need, and keeps what each holds in ROOT/packages: foreign_unpack ROOT PACKAGE...
foreign_unpack() {
  local root=$1 file name
  shift
  mkdir -p -- "$root/packages"
  apt-get -qq -y --download-only install "$@" >&2 || fail "cannot fetch: $*"
  # This one first: it has the links of a merged /usr.
  for file in "${APT_CONFIG%/*}"/archives/base-files_*.deb "${APT_CONFIG%/*}"/archives/*.deb; do
    name=${file##*/}
    name=${name%%_*}
    # shellcheck disable=SC2254 # patterns
    case $name in base-files) [[ ! -e $root/packages/$name.files ]] || continue ;; esac
    # shellcheck disable=SC2053 # patterns
    [[ $name != @($foreign_unwanted) ]] || continue
    dpkg-deb --vextract "$file" "$root" >"$root/packages/$name.files"
    # shellcheck disable=SC2016 # dpkg's own variables
    dpkg-deb --show --showformat '${Package} ${Version} ${source:Package}\n' "$file" >"$root/packages/$name.package"
  done
  rm -rf -- "${APT_CONFIG%/*}/archives"
}

# Says no to an architecture that nothing is made for here, before anything is fetched.
require_architecture() {
  case $1 in
    aarch64 | "$(uname -m)") ;;
    arm64) fail "arm64 is called aarch64 here" ;;
    *) fail "nothing for '$1' can be made here: aarch64, or $(uname -m), which is this machine's" ;;
  esac
}

# Names what a root is made of: another list makes another root.
foreign_key() {
  printf '%s\n' "${foreign_tools[@]}" "${foreign_libraries[@]}" "${foreign_guest[@]}" "$foreign_unwanted" | sha256sum | cut -c 1-12
}

# Sets `foreign_root`, `target` and the like for an architecture, and makes what is missing: prepare_foreign ARCHITECTURE.
prepare_foreign() {
  local architecture=$1 key partial started=$SECONDS
  require_architecture "$architecture"
  [[ $(uname -m) == x86_64 ]] || fail "a bundle for $architecture is made on an x86-64 machine, or on one of its own kind"
  command -v apt-get >/dev/null || fail "the compiler for $architecture is put together from Debian packages; there is no apt here"
  ((EUID == 0)) || fail "a bundle for $architecture is built in a chroot: run it as root"
  ensure_packages debian-archive-keyring dpkg util-linux xz-utils zstd
  foreign=$cache/$architecture
  key=$(foreign_key)
  foreign_root=$foreign/root-$key
  target=$foreign_root/target
  multiarch=$architecture-linux-gnu
  mkdir -p -- "$foreign"
  exec 7>"$foreign/lock"
  until flock -w 60 7; do say "waiting for another that prepares $foreign"; done
  if [[ ! -d $foreign_root ]]; then
    say "making a compiler for $architecture from Debian's unstable suite in $foreign (1.5 GB to fetch; once)"
    partial=$foreign_root.partial
    rm -rf -- "$partial"
    mkdir -p -- "$partial"
    (
      foreign_apt "$foreign/apt-tools" amd64 unstable
      foreign_unpack "$partial" "${foreign_tools[@]}"
      rm -rf -- "$foreign/apt-tools"
      foreign_apt "$foreign/apt-target" arm64 unstable
      foreign_unpack "$partial/target" "${foreign_libraries[@]}" "${foreign_guest[@]}"
      # Of that compiler the standard library alone.
      (cd -- "$foreign/apt-target" && apt-get -qq download swiftlang) >&2 || fail "cannot fetch swiftlang for $architecture"
      dpkg-deb --fsys-tarfile "$foreign"/apt-target/swiftlang_*.deb |
        tar -x -C "$partial/target" ./usr/libexec/swift/lib/swift_static ./usr/libexec/swift/lib/clang ./usr/share/doc/swiftlang
      rm -rf -- "$foreign/apt-target"
    ) || fail "there is no compiler for $architecture"
    # Where the linker is told to look in a system of another kind.
    ln -s ../libexec/swift/lib/swift_static "$partial/target/usr/lib/swift_static"
    mkdir -p -- "$partial"/{mpifs,build,repositories,proc,dev,tmp}
    mv -- "$partial" "$foreign_root"
    say "made in $((SECONDS - started)) s"
  fi
  # Those of other lists have 4 GB each; another branch of the sources may be at work with one.
  touch -- "$foreign_root"
  find "$foreign" -maxdepth 1 -name 'root-*' -mtime +6 -exec rm -rf -- {} +
  exec 7>&-
}

# Builds a product for the architecture of prepare_foreign as it is shipped, and prints the program's path: foreign_build PRODUCT.
# The sources of other packages are taken from the build folder of this machine's own kind, which is made where it is missing.
foreign_build() {
  local product=$1 build=$foreign/build-${MPIFS_TRAITS:-default} started=$SECONDS name repository_here options
  build=${build//,/-}
  # Not asked for where it is done: whoever builds in that folder holds it.
  [[ $repository/Package.resolved -nt $repository/Package.swift && -n $(compgen -G "$scratch/repositories/*") ]] ||
    swift package --package-path "$repository" --scratch-path "$scratch" resolve >&2 ||
    fail "cannot fetch the packages this one depends on"
  mkdir -p -- "$build"
  exec 7>"$build.lock"
  until flock -w 60 7; do say "waiting for another build for ${foreign##*/}"; done
  for repository_here in "$scratch"/repositories/*/; do
    name=$(basename -- "$repository_here")
    # A name ends in a hash of where the package comes from.
    printf '[url "file:///repositories/%s"]\n\tinsteadOf = https://github.com/apple/%s\n' "$name" "${name%-*}"
  done >"$foreign_root/etc/gitconfig"
  printf '[safe]\n\tdirectory = *\n' >>"$foreign_root/etc/gitconfig"
  # As SwiftPM wants it. -sdk is said again, since it gives its own to the C compiler alone.
  cat >"$foreign_root/destination.json" <<END
{ "version": 1, "sdk": "/target", "toolchain-bin-dir": "/usr/libexec/swift/bin", "target": "${foreign##*/}-unknown-linux-gnu",
  "dynamic-library-extension": "so", "extra-cc-flags": [], "extra-cpp-flags": [],
  "extra-swiftc-flags": ["-sdk", "/target", "-resource-dir", "/target/usr/libexec/swift/lib/swift_static", "-use-ld=lld"] }
END
  options=("${release_options[@]//$repository/\/mpifs}" "${trait_options[@]}" --product "$product")
  build_for_kernel
  say "building $product for ${foreign##*/} (release, traits: ${MPIFS_TRAITS:-default}); the first time takes some minutes"
  # The same paths whatever this machine's are. The hashing: traits stand in an order of their own at every run else, and all is built anew.
  unshare --mount bash -euc '
    root=$1 repository=$2 build=$3 repositories=$4
    shift 4
    mount --bind "$repository" "$root/mpifs"
    mount --bind "$build" "$root/build"
    mount --bind "$repositories" "$root/repositories"
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    exec chroot "$root" /usr/bin/env -i "$@"' \
    build "$foreign_root" "$repository" "$build" "$scratch/repositories" \
    SWIFT_DETERMINISTIC_HASHING=1 HOME=/tmp LANG=C.UTF-8 PATH=/usr/libexec/swift/bin:/usr/bin PKG_CONFIG_SYSROOT_DIR=/target \
    "PKG_CONFIG_PATH=/target/usr/lib/$multiarch/pkgconfig:/target/usr/share/pkgconfig" \
    ${MPIFS_BPF:+"MPIFS_BPF=/mpifs${MPIFS_BPF#"$repository"}"} \
    "MPIFS_COMMIT=$(source_commit)" "MPIFS_BUILD_TIME=${MPIFS_BUILD_TIME:-$(date -u +%Y-%m-%d-%H:%M:%S)}" \
    swift build --package-path /mpifs --scratch-path /build --destination /destination.json "${options[@]}" >&2 7>&- ||
    fail "the build for ${foreign##*/} failed"
  say "built in $((SECONDS - started)) s"
  exec 7>&-
  printf '%s\n' "$build/${foreign##*/}-unknown-linux-gnu/release/$product"
}

# The path of a library on the other machine; nothing when there is none.
foreign_library() {
  local directory
  for directory in "$target/usr/lib/$multiarch" "$target/usr/lib" "$target/usr/lib/$multiarch"/*/; do
    [[ ! -e ${directory%/}/$1 ]] || { printf '%s\n' "${directory%/}/$1" && return; }
  done
}

# Paths of all libraries that files for the other machine need, and what those need in turn.
foreign_needs() {
  local file name path queue=("$@")
  declare -A seen=()
  while ((${#queue[@]})); do
    file=${queue[0]}
    queue=("${queue[@]:1}")
    while read -r name; do
      [[ -z ${seen[$name]:-} ]] || continue
      path=$(foreign_library "$name")
      [[ -n $path ]] || fail "$file needs $name, which is in none of the packages"
      seen[$name]=$path
      queue+=("$path")
    done < <(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  done
  printf '%s\n' "${seen[@]}" | sort
}

# Lines `path package version source` for files of the other machine.
foreign_packages_of() {
  local file list
  for file; do
    list=$(cd -- "$target" && grep -lxF -e "./$(realpath --relative-to="$target" -- "$file")" -r packages --include='*.files' | sed -n 1p)
    printf '%s %s\n' "$file" "${list:+$(cat -- "$target/${list%.files}.package")}"
  done
}
