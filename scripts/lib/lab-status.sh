# shellcheck shell=bash
# What `scripts/lab status` and `list` show.

# Link-local and multicast addresses are left out: nobody asked for them.
INTERFACES_JQ='[.[] | {
	name: .ifname, up: ((.flags | index("UP")) != null), carrier: (.operstate == "UP" or .ifname == "lo"), mtu, mac: .address,
	addresses: [.addr_info[] | select(.scope == "global") | "\(.local)/\(.prefixlen)"],
	xdp: (if .xdp.prog then {mode: (if .xdp.mode == 2 then "generic" else "native" end), id: .xdp.prog.id, program: (.xdp.prog.name // null)} else null end)
}]'

host_json() {
	local netns interfaces processes
	netns=$(netns_of "$1")
	if ! namespace_exists "$1"; then
		jq -n --arg host "$1" --arg netns "$netns" '{host: $host, netns: $netns, missing: true, interfaces: [], processes: []}'
		return 0
	fi
	interfaces=$(ip -n "$netns" -j -d address show | jq -c "$INTERFACES_JQ")
	processes=$(ip netns pids "$netns" | xargs -r ps -o pid=,args= -p | jq -Rnc '[inputs | capture("^ *(?<pid>[0-9]+) (?<command>.*)$") | .pid |= tonumber]')
	jq -n --arg host "$1" --arg netns "$netns" --argjson interfaces "$interfaces" --argjson processes "$processes" \
		'{host: $host, netns: $netns, missing: false, interfaces: $interfaces, processes: $processes}'
}

status_json() {
	local host
	for host in "${LAB_HOSTS[@]}"; do host_json "$host"; done |
		jq -s --arg name "$LAB" --arg state "$(current_state)" --arg since "$(state_of since)" \
			'{name: $name, state: $state, since: (if $since == "" then null else $since end), hosts: .}'
}

current_state() {
	recall_balancers
	if lab_is_ready; then
		echo up
	elif lab_has_remains; then
		echo broken
	else
		echo down
	fi
}

STATUS_JQ='"lab \(.name): \(.state)\(if .since then " since " + .since else "" end)", (.hosts[] |
	"\(.host)\t\(if .missing then "missing" else .netns end)",
	(.interfaces[] | select(.name != "lo" or (.addresses | length) > 0) |
		"  \(.name)\t\(if .up and .carrier then "up" else "DOWN" end)\tmtu \(.mtu)\t\(.mac)\t" +
		(if .xdp then "xdp \(.xdp.mode) \(.xdp.program // "?") #\(.xdp.id)" else "-" end) + "\t\(.addresses | join(" "))"),
	(.processes[] | "  pid \(.pid)\t\(.command)"))'

# Exit 1 unless the lab is up.
show_status() {
	local status
	recall_balancers
	status=$(status_json)
	if (($1)); then
		printf '%s\n' "$status"
	else
		jq -r "$STATUS_JQ" <<<"$status" | column -t -s $'\t' | sed 's/ *$//'
	fi
	[[ $(jq -r .state <<<"$status") == up ]]
}

lab_names() {
	local path
	{
		for path in "$RUN_DIR"/*/lab; do if [[ -e $path ]]; then basename "$(dirname "$path")"; fi; done
		for path in /run/netns/sw-*-client; do
			if [[ -e $path ]]; then
				path=${path##*/sw-}
				echo "${path%-client}"
			fi
		done
	} | sort -u
}

list_labs() {
	local names
	mapfile -t names < <(lab_names)
	for LAB in "${names[@]}"; do printf '%s\t%s\t%s\n' "$LAB" "$(current_state)" "$(state_of since)"; done
}

list_labs_json() {
	list_labs | jq -Rn '[inputs | split("\t") | {name: .[0], state: .[1], since: (if .[2] == "" then null else .[2] end)}]'
}
