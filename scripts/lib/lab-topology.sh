# shellcheck shell=bash disable=SC2034 # what is set here is read by the other parts of the lab
# Who is in a lab, what they are called and where they are. Addresses are those reserved for documentation.

LAB_BACKENDS=(be1 be2 be3)
# Of any lab, so that one is found and taken down whatever it was.
KNOWN_HOSTS=(client router bridge lb1 lb2 lb3 lb4 "${LAB_BACKENDS[@]}")
# How many nodes, and whether they tell the router by BGP what it is to send them.
BALANCERS=2 ROUTING=static

# Room for IPIP or GUE around the client's full-size packets: its own link stays at 1500.
LAN_MTU=1600
# VLANs of the two networks behind the router, and where the second is: '' (nowhere), own (cables), shared (the first's).
FRONT_VLAN='' BACK='' BACK_VLAN=''

# Last number of a host's address on the LAN, in both families.
declare -A LAN_NUMBER=([router]=1 [lb1]=11 [lb2]=12 [lb3]=13 [lb4]=14 [be1]=21 [be2]=22 [be3]=23)
VIP_NUMBERS=(10 11 12 13 14 15)
VIP_ROUTE4=192.0.2.0/24
VIP_ROUTE6=2001:db8:10::/64

# AS numbers of the router and of the balancers: from the range for documentation.
ROUTER_AS=64496
LB_AS=64497

set_balancers() {
	local number
	BALANCERS=$1 LAB_LBS=()
	for ((number = 1; number <= $1; number++)); do LAB_LBS+=("lb$number"); done
	LAB_HOSTS=(client router bridge "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}")
}
set_balancers "$BALANCERS"

# Three nodes, or two in each of two zones (which share the LAN).
take_cluster() {
	ROUTING=bgp
	set_balancers "$([[ $1 == --zones ]] && echo 4 || echo 3)"
}

take_topology() {
	case $1=$2 in
	--back=own | --back=shared) BACK=$2 ;;
	--front-vlan=* | --back-vlan=*)
		[[ $2 =~ ^[1-9][0-9]{0,3}$ ]] && (($2 < 4095)) || usage_error "$1 '$2': wanted 1 to 4094"
		if [[ $1 == --front-vlan ]]; then FRONT_VLAN=$2; else BACK_VLAN=$2; fi
		;;
	--mtu=*)
		[[ $2 =~ ^[1-9][0-9]{3,4}$ ]] || usage_error "$1 '$2': wanted 1000 to 65535"
		LAN_MTU=$2
		;;
	*) usage_error "$1 '$2': wanted own or shared" ;;
	esac
}

topology_text() {
	printf 'front %s, back %s %s, MTU %s' "${FRONT_VLAN:-untagged}" "${BACK:-none}" "${BACK_VLAN:-untagged}" "$LAN_MTU"
	[[ $ROUTING == static ]] || printf ', %s balancers, routes by BGP' "$BALANCERS"
}

# In a namespace that goes with the command.
has_vlans() {
	unshare --net sh -c 'ip link add v0 type veth peer name v1 && ip link add link v0 name v0.2 type vlan id 2' >/dev/null 2>&1
}

check_topology() {
	[[ -z $BACK_VLAN || $BACK ]] || usage_error '--back-vlan wants --back'
	[[ $BACK != shared || $FRONT_VLAN != "$BACK_VLAN" ]] || usage_error '--back shared wants VLANs that differ'
	if [[ $FRONT_VLAN$BACK_VLAN ]] && ! has_vlans; then
		say 'lab: this kernel has no VLAN devices (module 8021q): leave --front-vlan and --back-vlan out'
		exit 3
	fi
}

netns_of() { printf 'sw-%s-%s' "$LAB" "$1"; }
lan4() { printf '203.0.113.%s' "${LAN_NUMBER[$1]}"; }
lan6() { printf '2001:db8:200::%s' "${LAN_NUMBER[$1]}"; }
back4() { printf '198.18.1.%s' "${LAN_NUMBER[$1]}"; }
back6() { printf '2001:db8:300::%s' "${LAN_NUMBER[$1]}"; }
vip4() { printf '192.0.2.%s' "$1"; }
vip6() { printf '2001:db8:10::%s' "$1"; }

# Two ends of a cable, made inside their namespaces: no device is ever seen on the host.
cable() {
	printf 'link add %s netns %s mtu %s address %s type veth peer name %s netns %s mtu %s address %s\n' \
		"$2" "$(netns_of "$1")" "$5" "$6" "$4" "$(netns_of "$3")" "$5" "$7"
}

# Addresses that can be read: 00 is the client's cable, 01 the hosts on the LAN, 02 on the second network; fe and fd the
# switch's ports.
mac_of() { printf '02:00:00:00:%s:%02d' "$1" "$2"; }

all_cables() {
	local host number
	cable client eth0 router eth0 1500 "$(mac_of 00 2)" "$(mac_of 00 1)"
	for host in router "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}"; do
		number=${LAN_NUMBER[$host]}
		cable "$host" "$(lan_cable "$host")" bridge "$host" "$LAN_MTU" "$(mac_of 01 "$number")" "$(mac_of fe "$number")"
		if [[ $BACK == own ]]; then
			cable "$host" "$(back_cable "$host")" bridge "$host-back" "$LAN_MTU" "$(mac_of 02 "$number")" "$(mac_of fd "$number")"
		fi
	done
}

lan_cable() {
	if [[ $1 == router ]]; then printf eth1; else printf eth0; fi
}

back_cable() {
	if [[ $BACK == shared ]]; then
		lan_cable "$1"
	elif [[ $1 == router ]]; then
		printf eth2
	else
		printf eth1
	fi
}

# What has the address: the cable, or the VLAN on it.
lan_interface() { printf '%s%s' "$(lan_cable "$1")" "${FRONT_VLAN:+.$FRONT_VLAN}"; }
back_interface() { printf '%s%s' "$(back_cable "$1")" "${BACK_VLAN:+.$BACK_VLAN}"; }

# Ports of the switch whose other end runs XDP.
xdp_ports() {
	local host
	for host in "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}"; do
		printf '%s\n' "$host"
		if [[ $BACK == own ]]; then printf '%s-back\n' "$host"; fi
	done
}
