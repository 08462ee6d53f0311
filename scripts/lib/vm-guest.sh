#!/usr/bin/env bash
# Second process of scripts/vm's machine, on the host's file system: mounts what programs expect, runs the command,
# powers off. /run/vm is shared with the host, unbuffered: the command, its output, its status.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root SPILLWAY_VM=1

mount_all() {
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t devtmpfs dev /dev
	ln -s /proc/self/fd /dev/fd
	ln -s /proc/self/fd/0 /dev/stdin
	ln -s /proc/self/fd/1 /dev/stdout
	ln -s /proc/self/fd/2 /dev/stderr
	mkdir -p /dev/pts /dev/shm /run/lock /run/netns
	mount -t devpts devpts /dev/pts
	mount -t tmpfs shm /dev/shm
	mount -t tmpfs -o mode=1777 tmp /tmp
	mount -t bpf bpf /sys/fs/bpf
	mkdir -p /lib/modules
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose modules /lib/modules
	if grep -qx out /sys/bus/virtio/drivers/9pnet_virtio/*/mount_tag; then
		mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none out /out
	fi
	mkdir -p /run/emulator
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=none emulator /run/emulator
	ip link set lo up
}

mount_all >/dev/kmsg 2>&1
# shellcheck source=/dev/null
(. /run/vm/command) >>/run/vm/output 2>&1 </dev/null
echo $? >/run/vm/status
echo o >/proc/sysrq-trigger
sleep 60
