# Kernel, initramfs and root image of the selected release: made once, then found.

# What another kind of machine adds: to the unpacked root $1, and to the name of the images. Such a
# kind has functions of its own with these names.
machine_finish() { :; }
machine_ingredients() { :; }

images_build() {
  local images work kernel
  images=$(cache_images)
  cache_lock "debian$release_number" "Debian $release_number"
  if [ -d "$images" ]; then
    touch "$images"
    cache_unlock
    return 0
  fi
  host_prepare
  cache_sweep
  work="$(cache_root)/.build-$$"
  mkdir "$work"
  # shellcheck disable=SC2064  # the folder of now, not of then
  trap "as_root rm -rf --one-file-system '$work'" EXIT
  say "Debian $release_number ($release_codename): fetching and unpacking packages (about a minute)"
  root_folder "$work/root" || die "mmdebstrap could not make a $release_codename root from: $release_sources" \
    "Is the mirror reachable? XTRACER_DEBIAN_MIRROR names another one"
  kernel=$(root_kernel "$work/root")
  machine_finish "$work/root"
  say "kernel $kernel: initramfs"
  cp "$work/root/boot/vmlinuz-$kernel" "$work/vmlinuz"
  initramfs_build "$work/root" "$kernel" "$work/initramfs"
  say "root image"
  root_image "$work/root" "$work/root.img"
  echo "$kernel" >"$work/kernel"
  as_root rm -rf --one-file-system "$work/root"
  cache_publish "$work" "$images"
  trap - EXIT
  cache_unlock
  say "built $images in $SECONDS s ($(du -sh "$images" | cut -f1))"
}
