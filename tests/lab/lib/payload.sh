# The second disk, made for each run in a second: the guest's scripts, our binaries, and what to run.

# payload_image IMAGE BINARIES COMMAND…: BINARIES is a folder, or empty. GUEST names another folder than
# the lab's with what becomes /lab/guest.
payload_image() {
  local image=$1 binaries=$2 tree size
  shift 2
  tree=$(mktemp -d -p "$(dirname "$image")")
  mkdir "$tree/bin"
  cp -rL "${GUEST:-$LAB_HOME/guest}" "$tree/guest"
  [ -z "$binaries" ] || find -L "$binaries" -maxdepth 1 -type f -executable -exec cp -L -t "$tree/bin" {} +
  [ "$release_nats" = package ] || payload_nats "$tree"
  printf '%s\0' "$@" >"$tree/command"
  size=$(du -sm "$tree" | cut -f1)
  mke2fs -q -t ext4 -O ^has_journal -L lab-payload -d "$tree" "$image" "$((size * 5 / 4 + 16))M" >/dev/null
  rm -rf "$tree"
}

# A release without nats-server in its archive gets the host's, with the loader and the libraries
# that it was linked against, because its own libc may be older than that.
payload_nats() {
  local tree=$1 server loader
  server=$(command -v nats-server) ||
    die "Debian $release_number has no nats-server, and neither has this host" "apt-get install nats-server"
  mkdir "$tree/nats"
  cp -L "$server" "$tree/nats/nats-server"
  loader=$(ldd "$server" | sed -n 's|^[[:space:]]*\(/[^ ]*/ld-[^ ]*\).*|\1|p')
  if [ -z "$loader" ]; then
    ln "$tree/nats/nats-server" "$tree/bin/nats-server"
    return
  fi
  ldd "$server" | sed -n 's|.* => \(/[^ ]*\) .*|\1|p' | xargs -I{} cp -L {} "$tree/nats/"
  cp -L "$loader" "$tree/nats/loader"
  printf '#!/bin/sh\nexec /lab/nats/loader --library-path /lab/nats /lab/nats/nats-server "$@"\n' >"$tree/bin/nats-server"
  chmod +x "$tree/bin/nats-server"
}
