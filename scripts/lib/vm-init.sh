#!/bin/busybox sh
# First process of scripts/vm's machine: the host's file system with memory laid over it becomes the root.
b=/bin/busybox
fail() { echo "vm: $*"; $b poweroff -f; }

$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
for module in /modules/*; do $b insmod "$module" || fail "cannot load $module"; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose root /lower || fail 'no 9p root'
$b mount -t tmpfs -o mode=755 tmpfs /memory
$b mkdir /memory/upper /memory/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work root /new || fail 'no overlay'
$b mount -t tmpfs -o mode=755 run /new/run
$b mkdir -p /new/run/vm /new/out
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none job /new/run/vm || fail 'no job'
script=$($b sed -n "s/^# vm-guest: //p" /new/run/vm/command)
exec $b switch_root /new /bin/bash "$script"
