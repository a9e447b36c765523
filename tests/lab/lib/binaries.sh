# x-agent and x-tracer for the guest. They link the guest's libpython and its libc, so a host of the
# same release builds them as always, and any other host builds them inside a root of that release,
# with the host's own Rust toolchain bound into it.

binaries_names="x-agent x-tracer"

binaries_host_release() {
  # shellcheck source=/dev/null
  (. /etc/os-release && echo "${ID:-}${VERSION_ID:-}")
}

# binaries_build: sets binaries to a folder with x-agent and x-tracer for the selected release.
# LAB_BINARIES names a folder of somebody else's instead.
binaries_build() {
  local name
  if [ -n "${LAB_BINARIES:-}" ]; then
    binaries=$LAB_BINARIES
  elif [ "$(binaries_host_release)" = "debian$release_number" ]; then
    binaries_native
  else
    binaries_foreign
  fi
  for name in $binaries_names; do
    [ -x "$binaries/$name" ] || die "there is no $name in $binaries" "cargo build --release --bins makes it"
  done
}

# LAB_PROFILE=dev builds faster and runs slower.
binaries_folder() {
  case ${LAB_PROFILE:-release} in
    dev) echo debug ;;
    *) echo "${LAB_PROFILE:-release}" ;;
  esac
}

binaries_native() {
  say "cargo build --profile ${LAB_PROFILE:-release} (x-agent and x-tracer)"
  (cd "$LAB_HOME" && cargo build --locked --profile "${LAB_PROFILE:-release}" --bin x-agent --bin x-tracer >&2) ||
    die "cargo could not build x-agent and x-tracer"
  binaries=$(cd "$LAB_HOME" && cargo metadata --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/$(binaries_folder)
}

# The root to build in, in the cache like the images: its name says what went into it.
binaries_root() {
  local root work packages key
  packages=ca-certificates,$release_clang,gcc,libc6-dev,libelf-dev,libpython3-dev,make,pkg-config,python3,zlib1g-dev
  key=$(echo "$packages $release_sources" | sha256sum | cut -c1-16)
  root="$(cache_root)/build$release_number-$key"
  if [ ! -d "$root" ]; then
    host_prepare
    mkdir -p "$(cache_root)"
    cache_sweep
    work="$(cache_root)/.build-$$"
    say "a root of Debian $release_number to build in (about a minute)"
    as_root mmdebstrap --quiet --variant=minbase --include="$packages" \
      --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      --customize-hook="[ -e \"\$1/usr/bin/clang\" ] || ln -s $release_clang \"\$1/usr/bin/clang\"" \
      "$release_codename" "$work" "$release_sources" >&2 ||
      die "mmdebstrap could not make a $release_codename root from: $release_sources"
    as_root mv -T "$work" "$root"
  fi
  echo "$root"
}

# Everything is bound at the path that it has on the host, in a mount namespace of its own, so that
# nothing has to be taken away afterwards. The crates are fetched outside: the root has no network.
binaries_foreign() {
  local root target source toolchain crates
  root=$(binaries_root)
  target="$(cache_root)/target$release_number"
  source=$(cd "$LAB_HOME/../.." && pwd)
  toolchain=$(cd "$source" && rustc --print sysroot)
  crates=${CARGO_HOME:-$HOME/.cargo}
  mkdir -p "$target"
  say "cargo build --profile ${LAB_PROFILE:-release} in a Debian $release_number root (x-agent and x-tracer)"
  (cd "$source" && cargo fetch --locked --quiet >&2)
  # shellcheck disable=SC2016  # expanded by the inner shell, from its arguments
  as_root unshare -m bash -euc '
    root=$1 target=$2 source=$3 toolchain=$4 crates=$5 profile=$6
    for folder in "$target" "$source" "$toolchain" "$crates" /proc /dev; do
      mkdir -p "$root$folder"
      mount --rbind "$folder" "$root$folder"
    done
    mount -o remount,bind,ro "$root$source"
    cd "$source"
    exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH="$toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
      CARGO_HOME="$crates" CARGO_TARGET_DIR="$target" CARGO_NET_OFFLINE=true \
      sh -c "cd \"\$1\" && exec cargo build --locked --profile \"\$2\" --bin x-agent --bin x-tracer" sh "$source" "$profile"
  ' bash "$root" "$target" "$source" "$toolchain" "$crates" "${LAB_PROFILE:-release}" >&2 ||
    die "cargo could not build x-agent and x-tracer in a Debian $release_number root"
  binaries="$target/$(binaries_folder)"
}
