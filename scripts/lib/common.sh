# shellcheck shell=bash
# Shared by every script here: where the tree is, how to speak, how to fail.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
export ROOT

say() { printf '%s\n' "$*" >&2; }

# Exit 1: refused or failed.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Exit 2: wrong usage.
usage_error() {
	printf '%s: %s (see %s --help)\n' "${0##*/}" "$*" "${0##*/}" >&2
	exit 2
}

# Prints the comment block at the top of the calling script: one text for readers and for --help.
print_help() {
	sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"
}

require_root() {
	((EUID == 0)) || die "must run as root (packages, namespaces, BPF): try sudo $0"
}

# A zombie still answers kill -0, and PID 1 may not reap: the state decides.
process_lives() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	[[ ${stat##*) } != [ZX]* ]]
}

# Runs a command silently; its output is shown only when it fails. Returns its status.
quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null || status=$?
	((status == 0)) || cat "$log" >&2
	rm -f "$log"
	return "$status"
}

# Polls a command until it succeeds: wait_until DEADLINE_MS COMMAND [ARG...]
wait_until() {
	local end=$(($(date +%s%3N) + $1))
	shift
	until "$@"; do
		(($(date +%s%3N) < end)) || return 1
		sleep 0.02
	done
}
