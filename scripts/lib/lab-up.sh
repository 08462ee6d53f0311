# shellcheck shell=bash
# Building a lab: each function is one step, in the order in which lab_up calls them.

in_host() {
	nsenter --net="/run/netns/$(netns_of "$1")" "${@:2}"
}

make_namespaces() {
	local host
	for host in "${LAB_HOSTS[@]}"; do
		ip netns add "$(netns_of "$host")"
		in_host "$host" sysctl -qw "${COMMON_SYSCTLS[@]}"
	done
}

# Before there is an interface: what it inherits is not asked for again. Duplicate address detection would hold
# every IPv6 address back for a second or two.
COMMON_SYSCTLS=(
	net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0
	net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0
)

# Policy 3 with 0x37 (addresses, protocol, ports): policy 1 hashes by socket on veth, so a retransmission may take
# the other balancer, which hides a dead one.
set_router_sysctls() {
	in_host router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.fib_multipath_hash_policy=3 net.ipv4.fib_multipath_hash_fields=0x37 \
		net.ipv6.fib_multipath_hash_policy=3 net.ipv6.fib_multipath_hash_fields=0x37
}

# A backend owns the VIPs but must not say so on the LAN, neither in answers nor in its own questions.
set_backend_sysctls() {
	local host
	for host in "${LAB_BACKENDS[@]}"; do
		in_host "$host" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	done
}

plug_cables() {
	in_host bridge sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	all_cables | ip -batch -
}

# Snooping without a querier floods at best and loses datagrams around a port flap at worst.
start_switch() {
	local port
	{
		echo 'link set lo up'
		new_bridge br0
		for port in router "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}"; do echo "link set $port master br0 up"; done
		if [[ $BACK == own ]]; then
			new_bridge br1
			for port in router "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}"; do echo "link set $port-back master br1 up"; done
		fi
	} | ip -n "$(netns_of bridge)" -batch -
}

new_bridge() {
	echo "link add $1 mtu $LAN_MTU type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
	echo "link set $1 up"
}

# The switch's side of each cable whose other end runs XDP: without a program there XDP_TX is lost, and with
# checksum offload XDP_TX sends what has no checksum yet. A VLAN tag that the card is to insert is in no frame.
prepare_xdp_ports() {
	local object=$ROOT/dist/test/support/xdp_pass.bpf.o port section=xdp
	# Frames above a page's size come in fragments.
	((LAN_MTU <= 3400)) || section=xdp.frags
	for port in $(xdp_ports); do
		in_host bridge ethtool -K "$port" tx off txvlan off >/dev/null
		echo "link set dev $port xdpdrv obj $object sec $section"
	done | in_host bridge ip -batch -
}

address_client() {
	ip -n "$(netns_of client)" -batch - <<-END
		link set lo up
		link set eth0 up
		addr add 198.51.100.2/24 dev eth0
		addr add 2001:db8:100::2/64 dev eth0 nodad
		route add default via 198.51.100.1
		route add default via 2001:db8:100::1
	END
}

# The interfaces of a host on the networks behind the router, with their addresses.
lan_addresses() {
	local lan back
	lan=$(lan_interface "$1") back=$(back_interface "$1")
	echo 'link set lo up'
	echo "link set $(lan_cable "$1") up"
	[[ -z $FRONT_VLAN ]] || printf 'link add link %s name %s type vlan id %s\nlink set %s up\n' "$(lan_cable "$1")" "$lan" "$FRONT_VLAN" "$lan"
	printf 'addr add %s/24 dev %s\naddr add %s/64 dev %s nodad\n' "$(lan4 "$1")" "$lan" "$(lan6 "$1")" "$lan"
	[[ $BACK ]] || return 0
	echo "link set $(back_cable "$1") up"
	[[ -z $BACK_VLAN ]] || printf 'link add link %s name %s type vlan id %s\nlink set %s up\n' "$(back_cable "$1")" "$back" "$BACK_VLAN" "$back"
	printf 'addr add %s/24 dev %s\naddr add %s/64 dev %s nodad\n' "$(back4 "$1")" "$back" "$(back6 "$1")" "$back"
}

address_router() {
	ip -n "$(netns_of router)" -batch - <<-END
		$(lan_addresses router)
		link set eth0 up
		addr add 198.51.100.1/24 dev eth0
		addr add 2001:db8:100::1/64 dev eth0 nodad
		$(static_vip_routes)
	END
}

static_vip_routes() {
	[[ $ROUTING == static ]] || return 0
	printf 'route add %s%s\n' "$VIP_ROUTE4" "$(printf ' nexthop via %s' "$(lan4 lb1)" "$(lan4 lb2)")"
	printf 'route add %s%s\n' "$VIP_ROUTE6" "$(printf ' nexthop via %s' "$(lan6 lb1)" "$(lan6 lb2)")"
}

address_lan_host() {
	ip -n "$(netns_of "$1")" -batch - <<-END
		$(lan_addresses "$1")
		route add default via $(lan4 router)
		route add default via $(lan6 router)
	END
}

add_vips() {
	local number
	for number in "${VIP_NUMBERS[@]}"; do
		printf 'addr add %s/32 dev lo\naddr add %s/128 dev lo nodad\n' "$(vip4 "$number")" "$(vip6 "$number")"
	done | ip -n "$(netns_of "$1")" -batch -
}

client_reaches() {
	in_host client ping -q -n -c 1 -W 1 "$1" >/dev/null 2>&1
}

check_reachability() {
	local host address
	for host in router "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}"; do
		for address in "$(lan4 "$host")" "$(lan6 "$host")"; do
			wait_until 3000 client_reaches "$address" || die "the client does not reach $host at $address"
		done
	done
}

build_lab() {
	make_namespaces
	set_router_sysctls
	set_backend_sysctls
	plug_cables
	start_switch
	prepare_xdp_ports
	address_client
	address_router
	local host
	for host in "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}"; do address_lan_host "$host"; done
	for host in "${LAB_BACKENDS[@]}"; do add_vips "$host"; done
	check_reachability
	[[ $ROUTING == static ]] || start_router_bird
}
