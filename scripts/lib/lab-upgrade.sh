# shellcheck shell=bash
# `scripts/lab upgrade`: the agents of a lab by those of another checkout, one node after the other.

# Each step of a node: its agent's end, its successor's start until it serves.
UPGRADE_SECONDS=${SPILLWAY_UPGRADE_SECONDS:-60}
UPGRADE_TO=$ROOT

take_checkout() { UPGRADE_TO=$1; }

# agent_of HOST: pid and configuration file of the agent that runs there; nothing when none does.
agent_of() {
	local pid words
	for pid in $(ip netns pids "$(netns_of "$1")"); do
		mapfile -d '' -t words <"/proc/$pid/cmdline" 2>/dev/null || continue
		# node MAIN --config FILE, as scripts/bin/spillwayd runs it.
		if [[ ${words[1]-} == */dist/src/main.js && ${words[2]-} == --config && ${#words[@]} == 4 ]]; then
			printf '%s %s\n' "$pid" "${words[3]}"
			return
		fi
	done
}

# within TEST...: polls until it holds; 1 when it does not in time.
within() {
	local end=$((SECONDS + UPGRADE_SECONDS))
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

# PID 1 may not reap: a zombie is gone, too.
is_gone() { ! process_lives "$1"; }

# cli HOST WORD...: the command line of the checkout that is upgraded to.
cli() {
	local host=$1
	shift
	(lab_exec "$host" "$UPGRADE_TO/scripts/bin/spillway" --json "$@") 2>/dev/null
}

# serves HOST PID: that very agent answers and, where nodes have lives, is ACTIVE. Gone counts as answered: see upgraded.
serves() {
	local host=$1 pid=$2 status life
	if is_gone "$pid"; then return 0; fi
	status=$(cli "$host" status) || return 1
	[[ $(jq -r '.node.pid // 0' <<<"$status") == "$pid" ]] || return 1
	life=$(life_of "$host")
	[[ -z $life || $life == *ACTIVE ]]
}

# life_of HOST: empty where the release has no lives of nodes.
life_of() {
	cli "$1" cluster | jq -r '.nodes[]? | select(.self) | .life // empty' 2>/dev/null || true
}

# upgrade_host HOST: 1, with words, when the node does not come back.
upgrade_host() {
	local host=$1 pid config log began new
	read -r pid config < <(agent_of "$host")
	log=$(state_dir)/$host.agent.log
	began=$(date +%s%N)
	kill -TERM "$pid"
	within is_gone "$pid" || { warn "$host: the agent (pid $pid) did not end within $UPGRADE_SECONDS s of SIGTERM" && return 1; }
	# exec all the way: the agent has the pid of this child.
	(lab_exec "$host" setsid "$UPGRADE_TO/scripts/bin/spillwayd" --config "$config") </dev/null >>"$log" 2>&1 9>&- &
	new=$!
	if ! within serves "$host" "$new"; then
		warn "$host: the agent of $UPGRADE_TO (pid $new) does not serve within $UPGRADE_SECONDS s, see $log"
		return 1
	elif is_gone "$new"; then
		warn "$host: the agent of $UPGRADE_TO ended:"
		tail -n 3 "$log" >&2
		return 1
	fi
	printf '%s: pid %d -> %d, %s, back in %d ms\n' "$host" "$pid" "$new" "$(life_word "$host")" "$((($(date +%s%N) - began) / 1000000))"
}

life_word() {
	local life
	life=$(life_of "$1")
	echo "${life:-serving}"
}

warn() { printf 'lab upgrade: %s\n' "$*" >&2; }

lab_upgrade() {
	local host done_hosts=() left
	require_root
	recall_balancers
	lab_is_ready || die "there is no lab '$LAB', or it is broken: scripts/lab status --name $LAB"
	UPGRADE_TO=$(readlink -f "$UPGRADE_TO") || die "--to: no such directory"
	[[ -x $UPGRADE_TO/scripts/bin/spillwayd ]] || die "$UPGRADE_TO is no checkout of Spillway: there is no scripts/bin/spillwayd"
	for host in "${LAB_LBS[@]}"; do
		[[ $(agent_of "$host") ]] || die "no agent runs on $host: start it first (scripts/lab exec $host --name $LAB -- spillwayd --config FILE)"
	done
	for host in "${LAB_LBS[@]}"; do
		if ! upgrade_host "$host"; then
			left=("${LAB_LBS[@]:${#done_hosts[@]}+1}")
			die "stopped at $host; upgraded: ${done_hosts[*]:-none}; as they were: ${left[*]:-none}"
		fi
		done_hosts+=("$host")
	done
}
