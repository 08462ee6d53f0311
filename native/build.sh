#!/bin/sh
# Builds native/build/Release/spillway.node; returns at once when sources, flags, node and libbpf are as they were.
# SANITIZE=address builds an instrumented copy under dist/asan/native instead (see scripts/test-asan).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
sanitize=${SANITIZE:-}
where=$root/native
if [ -n "$sanitize" ]; then
	# node-gyp always builds in <project>/build: a second project of links keeps both builds apart.
	where=$root/dist/asan/native
	mkdir -p "$where"
	ln -sfn "$root/bpf" "$root/dist/asan/bpf"
	for file in "$root"/native/*.cc "$root"/native/*.h "$root"/native/binding.gyp; do
		ln -sf "$file" "$where/"
	done
fi
mkdir -p "$where/build"
exec 9>"$where/build/.lock"
flock 9

key=$({
	cat "$root"/native/*.cc "$root"/native/*.h "$root"/native/binding.gyp "$root"/native/build.sh \
		"$root"/bpf/abi_types.h "$root"/node_modules/node-addon-api/package.json
	node -p 'process.version + process.arch'
	stat -L -c '%s %Y' /usr/include/bpf/libbpf.h /usr/include/sodium.h
	echo "$sanitize"
} | sha256sum)
if [ -f "$where/build/Release/spillway.node" ] && [ "$(cat "$where/build/.key" 2>/dev/null)" = "$key" ]; then
	exit 0
fi
rm -f "$where/build/.key"

set --
# Installed headers save a download (and work without a network).
[ -e /usr/include/node/node_api.h ] && set -- --nodedir=/usr
echo "build: native addon${sanitize:+ with $sanitize sanitizer}" >&2
gyp() {
	"$root/node_modules/.bin/node-gyp" -C "$where" --loglevel=warn "$@" >"$where/build/.log" 2>&1 || {
		cat "$where/build/.log" >&2
		exit 1
	}
}
gyp configure "$@" -- "-Dsanitize=$sanitize"
gyp build -j "$(nproc)" "$@"
echo "$key" >"$where/build/.key"
