# The initramfs: busybox, the few modules without which the kernel sees no disk, and 20 lines of
# shell that find the disks by their serial numbers and hand over to the guest's own init.

# What the guest needs before it has a root. Some kernels have some of these built in.
initramfs_wanted="virtio_pci virtio_blk ext4"

# initramfs_modules ROOT KERNEL: the files to insert, in order, dependencies first.
initramfs_modules() {
  local folder="$1/lib/modules/$2" wanted line
  for wanted in $initramfs_wanted; do
    line=$(grep -E "(^|/)$wanted\.ko(\.[a-z]+)?:" "$folder/modules.dep") || {
      grep -q "/$wanted\.ko" "$folder/modules.builtin" || die "kernel $2 has no module $wanted"
      continue
    }
    # modules.dep names what a module needs nearest first, so its end is inserted first.
    printf '%s\n' "${line/:/ }" | tr -s ' ' '\n' | tac
  done | awk 'NF && !seen[$0]++'
}

# initramfs_build ROOT KERNEL FILE
initramfs_build() {
  local root=$1 kernel=$2 file=$3 tree module name
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,dev,proc,sys,root,modules}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  : >"$tree/modules/order"
  initramfs_modules "$root" "$kernel" | while read -r module; do
    name=$(basename "${module%.ko*}").ko
    case $module in
      *.ko) cp "$root/lib/modules/$kernel/$module" "$tree/modules/$name" ;;
      *.ko.xz) xz -dc "$root/lib/modules/$kernel/$module" >"$tree/modules/$name" ;;
      *) die "module $module is packed in a way that the lab does not know" ;;
    esac
    echo "$name" >>"$tree/modules/order"
  done
  initramfs_init >"$tree/init"
  chmod +x "$tree/init"
  (cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$file"
  rm -rf "$tree"
}

initramfs_init() {
  cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do insmod "/modules/$module"; done </modules/order
for disk in /sys/block/vd*; do
  read -r serial <"$disk/serial"
  case $serial in
    lab-root) mount -t ext4 "/dev/${disk##*/}" /root ;;
    lab-payload) payload=${disk##*/} ;;
  esac
done
mount -t ext4 -o ro "/dev/$payload" /root/lab
umount /sys
umount /proc
exec switch_root /root /lab/guest/init
INIT
}
