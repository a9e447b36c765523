# What the lab says, and how it gives up. Progress goes to stderr: stdout belongs to the guest.
# SPEAKER is the name of whoever else uses these scripts.

say() {
  printf '%s: %s\n' "${SPEAKER:-lab}" "$*" >&2
}

# die WHAT [NEXT STEP]: names the failure and what to do about it.
die() {
  printf '%s: error: %s\n' "${SPEAKER:-lab}" "$1" >&2
  [ "$#" -lt 2 ] || printf '%s:   %s\n' "${SPEAKER:-lab}" "$2" >&2
  exit 1
}

# as_root COMMAND…: for the few steps that need it (apt, mmdebstrap, chroot).
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
