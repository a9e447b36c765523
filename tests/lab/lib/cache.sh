# Where finished images lie. Each has a name made from everything that went into it, so a change
# of a package list or of a script makes a new one, and nothing in here is ever edited. The whole
# folder may be deleted at any time.

cache_root() {
  echo "${XTRACER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/x-tracer}/lab"
}

# The name of the images for the selected release: packages, sources, kernel, what the kind of machine
# adds, and the two scripts that turn those into files.
cache_key() {
  {
    release_packages
    echo "$release_sources"
    machine_ingredients
    cat "$LAB_HOME/lib/root.sh" "$LAB_HOME/lib/initramfs.sh"
  } | sha256sum | cut -c1-16
}

cache_images() {
  echo "$(cache_root)/debian$release_number-$(cache_key)"
}

# cache_lock NAME WHAT: one at a time makes WHAT; the others wait for it and find it made.
cache_lock() {
  mkdir -p "$(cache_root)"
  exec 8>"$(cache_root)/$1.lock"
  flock -n 8 || { say "another lab is building $2; waiting for it"; flock 8; }
}

cache_unlock() {
  exec 8>&-
}

# cache_publish WORK TARGET: the one moment at which an image comes into being.
cache_publish() {
  mv -T "$1" "$2"
}

# Half-built folders carry the number of the process that builds them; those without one are waste,
# and so are images that nobody has booted for two weeks.
cache_sweep() {
  local folder
  find "$(cache_root)" -maxdepth 1 -name 'debian*-*' -mtime +14 | while read -r folder; do
    as_root rm -rf --one-file-system "$folder"
  done
  for folder in "$(cache_root)"/.build-*; do
    [ -d "$folder" ] || continue
    [ -d "/proc/${folder##*-}" ] || as_root rm -rf --one-file-system "$folder"
  done
}
