# The guest's root: a minimal Debian with its kernel, that kernel's headers (BCC compiles against
# them) and the distribution's own BCC tools, as one ext4 image.

# root_folder FOLDER: packages into a folder. INITRD=No keeps the kernel package from building an
# initramfs that nobody boots.
root_folder() {
  local packages
  packages=$(release_packages | paste -sd,)
  # shellcheck disable=SC2016  # expanded by the shell of the hook, whose argument is the folder
  as_root env INITRD=No mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='mkdir "$1/lab"; echo lab >"$1/etc/hostname"; echo "127.0.0.1 localhost lab" >"$1/etc/hosts"; echo "::1 localhost" >>"$1/etc/hosts"' \
    "$release_codename" "$1" "$release_sources"
}

# root_kernel FOLDER: the kernel's version, which is also the name of its module folder.
root_kernel() {
  local kernels
  kernels=$(cd "$1/lib/modules" && echo *)
  case $kernels in
    *' '*) die "the guest's root has more than one kernel: $kernels" ;;
  esac
  echo "$kernels"
}

# root_image FOLDER IMAGE: half as much again as its contents, and room for what the guest writes.
root_image() {
  local used
  used=$(as_root du -sm "$1" | cut -f1)
  as_root mke2fs -q -t ext4 -L lab-root -d "$1" "$2" "$((used * 3 / 2 + 512))M" >/dev/null
}
