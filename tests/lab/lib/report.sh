# What the lab says, and how it gives up. Progress goes to stderr: stdout belongs to the guest.

say() {
  printf 'lab: %s\n' "$*" >&2
}

# die WHAT [NEXT STEP]: names the failure and what to do about it.
die() {
  printf 'lab: error: %s\n' "$1" >&2
  [ "$#" -lt 2 ] || printf 'lab:   %s\n' "$2" >&2
  exit 1
}

# as_root COMMAND…: for the few steps that need it (apt, mmdebstrap, chroot).
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
