# shellcheck shell=bash
# What a test run leaves behind: found, named, removed.
#
# A run is known by its pid and start time, handed down in SPILLWAY_TEST_RUN: a process carries it in its environment,
# a lab in its state. Other namespaces and pins of tests are named after the process that made them, sw-t<pid>-* and
# t<pid>*, so that the next run can tell which have lost their owner. Labs and agents started by hand are nobody's
# leftovers, nor is anything with the number of a living process in its name.

RUN_DIR=/run/spillway
PIN_DIR=/sys/fs/bpf/spillway

note_objects_before() { OBJECTS_BEFORE=$(nameable_objects); }

start_time_of() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	# Field 22; the name in field 2 may hold spaces and brackets.
	awk '{print $20}' <<<"${stat##*) }"
}

new_run_id() { printf '%s-%s' "$$" "$(start_time_of $$)"; }

run_lives() { [[ $(start_time_of "${1%-*}") == "${1#*-}" ]]; }

# Lines "PID RUN" of every process started by a test run.
test_processes() {
	local file run
	grep -lzs '^SPILLWAY_TEST_RUN=' /proc/[0-9]*/environ | while read -r file; do
		run=$(tr '\0' '\n' <"$file" 2>/dev/null | sed -n 's/^SPILLWAY_TEST_RUN=//p') || continue
		file=${file#/proc/}
		if [[ $run ]]; then printf '%s %s\n' "${file%/environ}" "$run"; fi
	done
}

# Lines "LAB RUN"; RUN is empty for a lab made by hand.
labs_with_runs() {
	local file
	for file in "$RUN_DIR"/*/lab; do
		if [[ -e $file ]]; then printf '%s %s\n' "$(basename "$(dirname "$file")")" "$(sed -n 's/^run=//p' "$file")"; fi
	done
}

# Namespaces and pins with a name of ours that belong to no other run's and no hand-made lab.
nameable_objects() {
	local lab run foreign='^$'
	while read -r lab run; do
		if [[ $run != "${RUN:-none}" ]]; then foreign+="|^namespace sw-$lab-|^pin $lab-"; fi
	done < <(labs_with_runs)
	{
		find /run/netns -mindepth 1 -maxdepth 1 \( -name 'sw-*' -o -name 'spillway-*' -o -name 'lb-*' \) -printf 'namespace %f\n'
		find "$PIN_DIR" -mindepth 1 -maxdepth 1 ! -name default -printf 'pin %f\n'
	} 2>/dev/null | grep -vE "$foreign" | sort || true
}

has_dead_owner() { [[ $1 =~ ^(sw-)?t([0-9]+)([^0-9]|$) ]] && ! process_lives "${BASH_REMATCH[2]}"; }

has_living_owner() {
	local number
	while read -r number; do
		if process_lives "$number"; then return; fi
	done < <(grep -oE '[0-9]{3,}' <<<"$1")
	return 1
}

end_process() {
	kill -KILL "$1" 2>/dev/null || return 0
	wait_until 2000 eval "! process_lives $1" || say "process $1 does not end"
}

remove_object() {
	case $1 in
	namespace)
		local pid
		for pid in $(ip netns pids "$2" 2>/dev/null); do end_process "$pid"; done
		ip netns del "$2" || true
		;;
	pin) rm -rf "${PIN_DIR:?}/$2" ;;
	esac
}

# A run that was killed could not clean up: the next one does.
remove_stale_leftovers() {
	local pid run lab kind name
	while read -r pid run; do
		if ! run_lives "$run"; then say "test: ending process $pid of a dead test run" && end_process "$pid"; fi
	done < <(test_processes)
	while read -r lab run; do
		if { [[ $run ]] && ! run_lives "$run"; } || has_dead_owner "$lab"; then
			say "test: taking down lab '$lab' of a dead test run"
			"$ROOT/scripts/lab" down --name "$lab" >/dev/null || true
		fi
	done < <(labs_with_runs)
	while read -r kind name; do
		if has_dead_owner "$name"; then
			say "test: removing $kind $name of a dead test run"
			remove_object "$kind" "$name"
		fi
	done < <(nameable_objects)
}

own_processes() {
	local pid run
	while read -r pid run; do
		if [[ $run == "$RUN" ]] && process_lives "$pid"; then printf '%s\n' "$pid"; fi
	done < <(test_processes)
}

own_labs() {
	local lab run
	while read -r lab run; do
		if [[ $run == "$RUN" ]]; then printf '%s\n' "$lab"; fi
	done < <(labs_with_runs)
}

new_objects() {
	local kind name
	comm -13 <(printf '%s\n' "$OBJECTS_BEFORE") <(nameable_objects) | while read -r kind name; do
		if ! has_living_owner "$name"; then printf '%s %s\n' "$kind" "$name"; fi
	done
}

nothing_left() { [[ -z $(own_processes)$(own_labs)$(new_objects) ]]; }

# Names what the run has left and removes what is surely its own; fails if there was anything. What is ending just now gets its time.
check_leftovers() {
	local pid lab kind name
	wait_until 3000 nothing_left && return
	for pid in $(own_processes); do
		say "test: left behind: process $pid ($(tr '\0' ' ' <"/proc/$pid/cmdline"))"
		end_process "$pid"
	done
	for lab in $(own_labs); do
		say "test: left behind: lab '$lab'"
		"$ROOT/scripts/lab" down --name "$lab" >/dev/null || true
	done
	while read -r kind name; do
		say "test: left behind: $kind $name"
		# Whatever else it is, it may be somebody's: it is only named.
		if has_dead_owner "$name"; then remove_object "$kind" "$name"; fi
	done < <(new_objects)
	return 1
}
