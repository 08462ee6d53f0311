# shellcheck shell=bash
# What is known of a lab, and taking one down whatever state it is in.
# `return` always has a number: in a trap a bare one repeats the status from before the trap.

RUN_DIR=/run/spillway
PIN_DIR=/sys/fs/bpf/spillway

state_dir() { printf '%s/%s' "$RUN_DIR" "$LAB"; }

# state_of KEY: empty when there is no such lab or key. Keys: state (building, ready), since, run, topology, balancers.
state_of() {
	sed -n "s/^$1=//p" "$(state_dir)/lab" 2>/dev/null || true
}

# `run` is the test run to which the lab belongs, so that a later run can tell its leftovers from a lab made by hand.
write_state() {
	mkdir -p "$(state_dir)"
	{
		printf 'state=%s\nsince=%s\nrun=%s\n' "$1" "$(date --iso-8601=seconds)" "${SPILLWAY_TEST_RUN-}"
		printf 'topology=%s\nbalancers=%s\n' "$(topology_text)" "$BALANCERS"
	} >"$(state_dir)/lab.new"
	mv "$(state_dir)/lab.new" "$(state_dir)/lab"
}

# The hosts of a lab are as it was made, not as the options of this call say.
recall_balancers() {
	local number
	number=$(state_of balancers)
	set_balancers "${number:-2}"
}

# One up or down of a name at a time. Children inherit the lock: after kill -9 the next one waits for stragglers.
lock_lab() {
	local file=$RUN_DIR/.$LAB.lock
	mkdir -p "$RUN_DIR"
	while :; do
		exec 9>"$file"
		flock -w 60 9 || die "lab '$LAB' is held by another scripts/lab for a minute: see lsof $file"
		# The previous holder may have removed the file that this one waited on.
		if [[ $file -ef /proc/$$/fd/9 ]]; then return 0; fi
	done
}

namespace_exists() { [[ -e /run/netns/$(netns_of "$1") ]]; }

lab_is_ready() {
	local host interface
	[[ $(state_of state) == ready ]] || return 1
	for host in "${LAB_HOSTS[@]}"; do
		interface=$([[ $host == bridge ]] && echo br0 || echo eth0)
		ip -n "$(netns_of "$host")" link show dev "$interface" >/dev/null 2>&1 || return 1
	done
}

lab_has_remains() {
	local host
	[[ -e $(state_dir) ]] && return 0
	for host in "${KNOWN_HOSTS[@]}"; do if namespace_exists "$host"; then return 0; fi; done
	[[ $(lab_pins) ]]
}

# Pins of instances in this lab. `foo-*` also fits what belongs to a lab named `foo-bar`: that is left alone.
lab_pins() {
	local pin other
	for pin in "$PIN_DIR/$LAB"-*; do
		[[ -e $pin ]] || continue
		for other in "$RUN_DIR/$LAB"-*/; do
			other=${other%/}
			if [[ -e $other && ${pin##*/} == "${other##*/}"-* ]]; then continue 2; fi
		done
		printf '%s\n' "$pin"
	done
}

lab_pids() {
	local host
	for host in "${KNOWN_HOSTS[@]}"; do
		if namespace_exists "$host"; then ip netns pids "$(netns_of "$host")" 2>/dev/null || true; fi
	done
}

no_lab_pids() { [[ -z $(lab_pids) ]]; }

signal_lab() {
	local pids
	mapfile -t pids < <(lab_pids)
	((${#pids[@]} == 0)) || kill "-$1" "${pids[@]}" 2>/dev/null || true
}

# A namespace lives on under a process inside, with its devices: processes go first.
end_processes() {
	no_lab_pids && return 0
	signal_lab TERM
	wait_until 3000 no_lab_pids && return 0
	signal_lab KILL
	wait_until 3000 no_lab_pids || die "processes of lab '$LAB' do not end: $(lab_pids | xargs)"
}

remove_pins() {
	local pin
	lab_pins | while read -r pin; do rm -rf "$pin"; done
}

remove_namespaces() {
	local host
	for host in "${KNOWN_HOSTS[@]}"; do
		# A half-made namespace is a plain file that `ip netns del` can unlink only after a failed unmount.
		if namespace_exists "$host"; then ip netns del "$(netns_of "$host")" || rm -f "/run/netns/$(netns_of "$host")"; fi
	done
}

tear_down() {
	end_processes
	remove_pins
	remove_namespaces
	rm -rf "$(state_dir)" "$RUN_DIR/.$LAB.lock"
}
