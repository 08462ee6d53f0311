# shellcheck shell=bash disable=SC2034 # what is set here is read by the other parts of the lab
# Who is in a lab, what they are called and where they are. Addresses are those reserved for documentation.

LAB_HOSTS=(client router bridge lb1 lb2 be1 be2 be3)
LAB_LBS=(lb1 lb2)
LAB_BACKENDS=(be1 be2 be3)

# Room for IPIP or GUE around the client's full-size packets: its own link stays at 1500.
LAN_MTU=1600

# Last number of a host's address on the LAN, in both families.
declare -A LAN_NUMBER=([router]=1 [lb1]=11 [lb2]=12 [be1]=21 [be2]=22 [be3]=23)
VIP_NUMBERS=(10 11 12 13 14 15)
VIP_ROUTE4=192.0.2.0/24
VIP_ROUTE6=2001:db8:10::/64

netns_of() { printf 'sw-%s-%s' "$LAB" "$1"; }
lan4() { printf '203.0.113.%s' "${LAN_NUMBER[$1]}"; }
lan6() { printf '2001:db8:200::%s' "${LAN_NUMBER[$1]}"; }
vip4() { printf '192.0.2.%s' "$1"; }
vip6() { printf '2001:db8:10::%s' "$1"; }

# Two ends of a cable, made inside their namespaces: no device is ever seen on the host.
cable() {
	printf 'link add %s netns %s mtu %s address %s type veth peer name %s netns %s mtu %s address %s\n' \
		"$2" "$(netns_of "$1")" "$5" "$6" "$4" "$(netns_of "$3")" "$5" "$7"
}

# Addresses that can be read: 00 is the client's cable, 01 the hosts on the LAN, fe the switch's ports.
mac_of() { printf '02:00:00:00:%s:%02d' "$1" "$2"; }

all_cables() {
	local host number
	cable client eth0 router eth0 1500 "$(mac_of 00 2)" "$(mac_of 00 1)"
	for host in router "${LAB_LBS[@]}" "${LAB_BACKENDS[@]}"; do
		number=${LAN_NUMBER[$host]}
		cable "$host" "$(lan_interface "$host")" bridge "$host" "$LAN_MTU" "$(mac_of 01 "$number")" "$(mac_of fe "$number")"
	done
}

lan_interface() {
	if [[ $1 == router ]]; then printf eth1; else printf eth0; fi
}
