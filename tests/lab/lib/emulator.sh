# The machine's emulator: QEMU as the newest release that the lab knows has it, whatever the host's own is.
# Before 8.1 a virtual CPU could go on running instructions that another had just overwritten, and a
# kernel that patches itself, as it does for every kprobe, died of it soon. Later ones do so more rarely: vendor-notes/qemu.md.

emulator_release=13

emulator_sources() {
  (release_select "$emulator_release" && echo "$release_codename" "$release_sources")
}

# Sets emulator to a folder in the cache: Debian's packages, unpacked and not installed.
emulator_build() {
  local work codename sources
  read -r codename sources <<<"$(emulator_sources)"
  emulator="$(cache_root)/emulator-$(echo "$sources" | cat - "$LAB_HOME/lib/emulator.sh" | sha256sum | cut -c1-16)"
  cache_lock emulator "the emulator"
  if [ ! -d "$emulator" ]; then
    host_prepare
    cache_sweep
    work="$(cache_root)/.build-$$"
    say "the emulator: fetching and unpacking QEMU of Debian $emulator_release (10 seconds)"
    as_root mmdebstrap --quiet --variant=extract --include=qemu-system-x86 \
      --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      "$codename" "$work" "$sources" >&2 ||
      die "mmdebstrap could not unpack QEMU of $codename from: $sources" \
        "Is the mirror reachable? XTRACER_DEBIAN_MIRROR names another one"
    as_root mv -T "$work" "$emulator"
  fi
  cache_unlock
}

# emulator_qemu ARGUMENT…: becomes QEMU, with the loader, the libraries and the firmware of its own release.
emulator_qemu() {
  local libraries="$emulator/usr/lib/x86_64-linux-gnu"
  exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$emulator/usr/bin/qemu-system-x86_64" \
    -L "$emulator/usr/share/qemu" -L "$emulator/usr/share/seabios" "$@"
}
