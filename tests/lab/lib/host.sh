# The host's side: which packages the lab needs there, and how the missing ones get in.
# HOST_PACKAGES names the list of whoever else uses these scripts.

host_packages() {
  sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "${HOST_PACKAGES:-$LAB_HOME/host-packages}"
}

host_missing() {
  local package
  host_packages | while read -r package; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
  done
}

host_prepare() {
  local missing
  command -v dpkg-query >/dev/null ||
    die "this machine is not a Debian or one of its children" "Install by hand: $(host_packages | paste -sd' ')"
  missing=$(host_missing | paste -sd' ')
  [ -n "$missing" ] || return 0
  say "installing with apt: $missing"
  as_root apt-get update -q >&2
  # shellcheck disable=SC2086  # a list of package names, one word each
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2 ||
    die "apt could not install: $missing" "Try: apt-get install $missing"
}
