# shellcheck shell=bash
# The router of a cluster: BIRD 2, which hears of VIPs from the balancers by BGP. It runs in the router's namespace, and
# so ends with the lab like whatever runs there.

bird_of_router() { printf '%s/router/bird.%s' "$(state_dir)" "$1"; }

# BFD: of two neighbours the slower interval rules, and each counts what it misses by the other's multiplier; so the
# balancers say how soon one of them is found dead. A next hop is an address on the LAN: `direct`. After an error (BFD
# down is one) BIRD refuses the neighbour for a minute and more, unless told otherwise.
router_bird_config() {
	local lb
	cat <<-END
		router id $(lan4 router);
		log "$(bird_of_router log)" all;
		protocol device { scan time 60; }
		protocol direct { ipv4; ipv6; }
		protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; merge paths on limit 16; }
		protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; merge paths on limit 16; }
		protocol bfd { interface "$(lan_interface router)" { min rx interval 10 ms; min tx interval 10 ms; multiplier 3; }; }
		template bgp balancer { local as $ROUTER_AS; direct; passive on; bfd on; graceful restart off; hold time 9; error wait time 1, 1; error forget time 1; debug { states, events }; }
	END
	for lb in "${LAB_LBS[@]}"; do
		printf 'protocol bgp %s_4 from balancer { neighbor %s as %s; ipv4 { import where net ~ [ %s+ ]; export none; }; }\n' \
			"$lb" "$(lan4 "$lb")" "$LB_AS" "$VIP_ROUTE4"
		printf 'protocol bgp %s_6 from balancer { neighbor %s as %s; ipv6 { import where net ~ [ %s+ ]; export none; }; }\n' \
			"$lb" "$(lan6 "$lb")" "$LB_AS" "$VIP_ROUTE6"
	done
}

router_bird_answers() {
	in_host router birdc -s "$(bird_of_router ctl)" show status >/dev/null 2>&1
}

# It must not inherit the lab's lock: the next call would wait for it.
start_router_bird() {
	mkdir -p "$(state_dir)/router"
	router_bird_config >"$(bird_of_router conf)"
	# A router has nothing else to do; this machine has, and BFD's 300 ms are soon over.
	in_host router nice -n -10 bird -c "$(bird_of_router conf)" -s "$(bird_of_router ctl)" -P "$(bird_of_router pid)" 9>&- </dev/null ||
		die "the router's BIRD does not start: see $(bird_of_router log)"
	wait_until 5000 router_bird_answers || die "the router's BIRD does not answer: see $(bird_of_router log)"
}
