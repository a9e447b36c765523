# One run of the machine: boot, let the guest's command talk, bring its results home, know why it ended.

# More of the machine than the lab has: arguments for QEMU.
vm_devices=()

# The guest hears nothing from the host but its disks, and the host nothing but two serial lines:
# the first is the kernel's (to a file), the second the command's (to our stdout).
vm_qemu() {
  local images=$1 run=$2
  # One thread for all virtual CPUs: with one each, a kernel that patches itself dies now and then (vendor-notes/qemu.md).
  local cpu=Nehalem-v1 accel=tcg,thread=single,tb-size=1024
  # A host that is busy while the machine boots is late with its timer: the kernel must not take it for broken.
  # Emulated, a CPU without AVX is faster: libc and LLVM then take code paths that emulate well.
  if [ "${LAB_ACCEL:-tcg}" = kvm ]; then accel=kvm cpu=host; fi
  TMPDIR=$run emulator_qemu -accel "$accel" -cpu "$cpu" -smp "${LAB_CPUS:-2}" -m "${LAB_MEMORY:-4G}" \
    -nodefaults -display none -nic none -no-reboot \
    -kernel "$images/vmlinuz" -initrd "$images/initramfs" \
    -append "console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off no_timer_check" \
    -drive "if=none,id=root,file=$images/root.img,format=raw,snapshot=on,cache=unsafe" \
    -device virtio-blk-pci,drive=root,serial=lab-root \
    -drive "if=none,id=payload,file=$run/payload.img,format=raw,readonly=on" \
    -device virtio-blk-pci,drive=payload,serial=lab-payload \
    -drive "if=none,id=results,file=$run/results.raw,format=raw,cache=unsafe" \
    -device virtio-blk-pci,drive=results,serial=lab-results \
    -serial "file:$run/kernel.log" \
    -chardev "file,id=voice,path=$run/voice" -serial chardev:voice "${vm_devices[@]}" \
    >"$run/qemu.log" 2>&1 </dev/null
}

# vm_run RESULTS LIMIT BINARIES COMMAND…: sets vm_status to the command's own status. What the guest
# left in its results folder is in RESULTS afterwards, with kernel.log beside it. LIMIT is in seconds.
# vm_scratch, if set, is a folder that goes with the run, however that ends.
# (Not its return value: a function whose status is asked for runs without `set -e`.)
vm_run() {
  local results=$1 limit=$2 binaries=$3 images
  shift 3
  machine="" voice=""
  images=$(cache_images)
  emulator_build
  run=$(mktemp -d "${TMPDIR:-/tmp}/x-tracer-lab.XXXXXX")
  trap 'vm_end; exit 130' INT
  trap 'vm_end; exit 143' TERM
  trap 'vm_end' EXIT
  payload_image "$run/payload.img" "$binaries" "$@"
  truncate -s 1G "$run/results.raw"
  mkfifo "$run/voice"
  : >"$run/kernel.log"
  say "booting Debian $release_number, kernel $(cat "$images/kernel") (emulated; time limit $limit s)"
  vm_qemu "$images" "$run" &
  machine=$!
  cat "$run/voice" &
  voice=$!
  vm_watch "$limit"
  mkdir -p "$results"
  cp "$run/kernel.log" "$results/"
  # The results disk is a tar stream from its first byte; an untouched disk is all zeros.
  tar -xf "$run/results.raw" -C "$results" 2>/dev/null || true
  [ -f "$results/status" ] || vm_explain "$limit"
  read -r vm_status <"$results/status"
  rm "$results/status"
  vm_end
  trap - INT TERM EXIT
}

# Until the machine has ended, or our reader has (somebody closed our stdout), or time is up.
# Sets vm_ended to which of these ended the machine, empty if it ended by itself.
vm_watch() {
  local timer ended="" status=0
  vm_ended=""
  sleep "$1" &
  timer=$!
  wait -n -p ended "$machine" "$voice" "$timer" || status=$?
  if [ "$ended" = "$voice" ] && [ "$status" = 0 ]; then
    # End of file: the machine has closed its end and is about to be gone.
    wait -n -p ended "$machine" "$timer" || true
  fi
  case $ended in
    "$timer") vm_ended=time ;;
    "$voice") vm_ended=reader ;;
  esac
  kill "$timer" "$machine" 2>/dev/null || true
  # A machine that never started leaves the reader waiting for a writer: be one for an instant.
  [ "$ended" = "$voice" ] || : <>"$run/voice"
  wait "$machine" "$voice" 2>/dev/null || true
}

# Nothing of a run stays: not the machine, not its disks.
vm_end() {
  kill "$machine" "$voice" 2>/dev/null || true
  wait "$machine" "$voice" 2>/dev/null || true
  rm -rf "$run" "${vm_scratch:-}"
}

# Why there is no status. Ends the program.
vm_explain() {
  local panic
  panic=$(grep -o -m 1 'Kernel panic.*' "$run/kernel.log" || true)
  if [ "$vm_ended" != reader ]; then
    echo "--- last lines of the guest's kernel:"
    tail -n 80 "$run/kernel.log"
    if [ -s "$run/qemu.log" ]; then
      echo "--- qemu:"
      tail -n 5 "$run/qemu.log"
    fi
  fi >&2
  case $vm_ended in
    time) die "the virtual machine was ended at its time limit of $1 s" "A slow host needs more: LAB_TIME_LIMIT=$(($1 * 2))" ;;
    reader) die "the virtual machine was ended because nobody reads its output any more" ;;
    *) die "the virtual machine died before its script ended: ${panic:-its kernel did not panic}" \
      "Its kernel's last lines are above" ;;
  esac
}
