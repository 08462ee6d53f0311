# shellcheck shell=bash
# Compiling BPF programs.

# compile_bpf SOURCE OBJECT: the object appears whole or not at all, so a reader never loads half a file.
compile_bpf() {
	local source=$1 object=$2 temporary
	mkdir -p "$(dirname "$object")"
	temporary=$(mktemp "$object.XXXXXX")
	if ! clang -O2 -g -Wall -Wextra -Werror -target bpf -mcpu=v3 -I "$ROOT/bpf" \
		-I "/usr/include/$(gcc -print-multiarch)" -c "$source" -o "$temporary"; then
		rm -f "$temporary"
		return 1
	fi
	chmod 644 "$temporary"
	mv -f "$temporary" "$object"
}
