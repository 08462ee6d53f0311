# shellcheck shell=bash
# The little that stands between a kernel and the host's file system: busybox, and the modules that mount it.

BOOT_MODULES=(virtio_pci 9p 9pnet_virtio overlay)

# Sets INITRAMFS; made once for each kernel, and anew when vm-init.sh is newer.
find_initramfs() {
	INITRAMFS=$KERNELS/initramfs-$VERSION-$(cat "$ROOT/scripts/lib/vm-"{init,initramfs}.sh "$VMLINUZ" | sha256sum | cut -c1-16)
	[[ -s $INITRAMFS ]] && return
	local root module order=0
	root=$(mktemp -d "$KERNELS/.XXXXXX")
	mkdir -p "$root"/{bin,dev,proc,modules,lower,memory,new}
	cp "$(command -v busybox)" "$root/bin/busybox" || die 'no busybox: run scripts/setup --kernels'
	install -m 755 "$ROOT/scripts/lib/vm-init.sh" "$root/init"
	while read -r module; do
		# In this order they are loaded.
		cp "$module" "$root/modules/$(printf '%03d' "$order")-${module##*/}"
		order=$((order + 1))
	done < <(modules_in_order)
	((order > 0)) || die "no modules ${BOOT_MODULES[*]} in $MODULES/$VERSION"
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$root.gz"
	mv "$root.gz" "$INITRAMFS"
	rm -rf "$root"
}

# Those that the kernel has built in print nothing.
modules_in_order() {
	local module
	for module in "${BOOT_MODULES[@]}"; do
		modprobe -S "$VERSION" -d "${MODULES%/lib/modules}" --show-depends "$module" || die "no module $module in kernel $VERSION"
	done | awk '$1 == "insmod" && !seen[$2]++ {print $2}'
}
