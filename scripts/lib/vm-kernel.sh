# shellcheck shell=bash
# Kernels to boot: Debian's packages, unpacked beside the build and not installed, so that this machine's own boot is
# never touched.

# What Debian 12 comes with.
STOCK_KERNEL=6.1
KERNELS=$ROOT/dist/kernels

# What is left out: hundreds of MB of drivers that no virtual machine has.
UNWANTED_MODULES=(sound 'drivers/[ag]*' drivers/{media,scsi,infiniband,usb,iio,hwmon,staging,hid,input,mtd,platform} drivers/net/{ethernet,wireless,can,dsa,usb,wwan})

# find_kernel WHICH sets VERSION, VMLINUZ and MODULES (the folder that holds lib/modules' VERSION).
find_kernel() {
	local folder
	mkdir -p "$KERNELS"
	case $1 in
	*.deb) folder=$(unpacked_deb "$1") ;;
	*/* | .) folder=$1 ;;
	*) folder=$(unpacked_version "$1") ;;
	esac || exit 1
	VMLINUZ=$(compgen -G "$folder/boot/vmlinuz-*" | sort -V | tail -1) ||
		die "--kernel $1: no boot/vmlinuz-* in $folder (is that an unpacked linux-image package?)"
	VERSION=${VMLINUZ##*/vmlinuz-}
	MODULES=$(realpath "$folder")/lib/modules
	[[ -d $MODULES/$VERSION/kernel ]] || die "--kernel $1: no modules in $MODULES/$VERSION"
	# Made by the package's installation where there was one.
	[[ -s $MODULES/$VERSION/modules.dep ]] || depmod -b "$folder" "$VERSION"
}

# The newest package "linux-image-VERSION*-amd64" of this Debian, or the newest one unpacked before.
unpacked_version() {
	local version=$1 package
	[[ $version =~ ^[0-9]+\.[0-9]+[a-z0-9.+-]*$ ]] || usage_error "--kernel '$version': wanted a version such as 6.1, or a path"
	have_package_lists || update_package_lists
	package=$(newest_package "$version")
	if [[ ! $package ]]; then
		package=$(find "$KERNELS" -maxdepth 1 -name "linux-image-$version*" -printf '%f\n' | sort -V | tail -1)
		[[ $package ]] || die "--kernel $version: this Debian has no package linux-image-$version*-amd64; give a .deb or a folder"
	fi
	if [[ ! -d $KERNELS/$package ]]; then
		exec 7>"$KERNELS/.lock"
		flock 7
		[[ -d $KERNELS/$package ]] || download "$package"
		exec 7>&-
	fi
	echo "$KERNELS/$package"
}

newest_package() {
	apt-cache pkgnames "linux-image-$1" | grep -E "^linux-image-${1//./\\.}([.-][0-9.+a-z-]*)?$" |
		grep -E -- '-amd64$' | grep -vE 'cloud|rt|dbg' | sort -V | tail -1 || true
}

# APT checks it against the signed lists.
download() {
	local package=$1 temporary
	temporary=$(mktemp -d "$KERNELS/.XXXXXX")
	say "vm: downloading $package"
	if ! (cd "$temporary" && quietly apt-get -q -o APT::Sandbox::User=root download "$package") 2>/dev/null; then
		update_package_lists
		(cd "$temporary" && quietly apt-get -q -o APT::Sandbox::User=root download "$package") || die "cannot download $package (above)"
	fi
	unpack "$temporary"/*.deb "$KERNELS/$package"
	rm -rf "$temporary"
}

unpacked_deb() {
	local folder
	[[ -r $1 ]] || die "--kernel $1: no such file"
	folder=$KERNELS/deb-$(sha256sum <"$1" | cut -c1-16)
	[[ -d $folder ]] || unpack "$1" "$folder"
	echo "$folder"
}

# The folder appears whole or not at all.
unpack() {
	local temporary exclude=(--exclude=./usr/share) unwanted
	for unwanted in "${UNWANTED_MODULES[@]}"; do exclude+=(--exclude="*/lib/modules/*/kernel/$unwanted"); done
	temporary=$(mktemp -d "$KERNELS/.XXXXXX")
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$temporary" --wildcards "${exclude[@]}" || die "$1 does not unpack"
	# Where Debian 13 and newer have them.
	if [[ -d $temporary/usr/lib/modules ]]; then mkdir -p "$temporary/lib" && mv "$temporary/usr/lib/modules" "$temporary/lib/"; fi
	mv -T "$temporary" "$2"
}
