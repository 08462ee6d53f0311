# shellcheck shell=bash
# Debian packages: which are missing, and how to install them without starting a service.

APT=(apt-get -y -q -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='# spillway scripts/setup: no service starts while it installs packages'

# Services of these packages would take port 80, 179 or 9090 of the host: they are only wanted for their binaries.
declare -A UNWANTED_SERVICES=(
	[prometheus]='prometheus.service prometheus-node-exporter.service'
	[bird2]='bird.service'
)

missing_packages() {
	local -A installed=()
	local name status
	while read -r name status; do
		[[ $status == ii* ]] && installed[${name%%:*}]=1
	done < <(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "$@" 2>/dev/null)
	for name in "$@"; do
		[[ ${installed[$name]-} ]] || printf '%s\n' "$name"
	done
}

update_package_lists() {
	say 'setup: updating the package lists'
	quietly env DEBIAN_FRONTEND=noninteractive "${APT[@]}" update || die 'apt-get update failed (above): check the network and /etc/apt/sources.list'
}

have_package_lists() {
	compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null
}

# A policy-rc.d that is already there is the administrator's: it stays, even if it lets services start.
forbid_service_start() {
	[[ -e $POLICY ]] && return
	printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
	chmod 755 "$POLICY"
}

# Also repairs the leftover of a set-up that was killed.
allow_service_start() {
	if [[ -e $POLICY ]] && grep -qxF -- "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi
}

# Without this the services would start at the next boot.
disable_new_services() {
	local name unit units
	command -v systemctl >/dev/null || return 0
	for name; do
		read -ra units <<<"${UNWANTED_SERVICES[$name]-}"
		for unit in "${units[@]}"; do systemctl --quiet disable "$unit" 2>/dev/null || true; done
	done
}

apt_install() {
	quietly env DEBIAN_FRONTEND=noninteractive "${APT[@]}" install --no-install-recommends "$@"
}

install_packages() {
	local status=0
	have_package_lists || update_package_lists
	say "setup: installing $*"
	forbid_service_start
	if ! apt_install "$@" 2>/dev/null; then
		# Old lists name versions that the mirror no longer has.
		update_package_lists
		apt_install "$@" || status=$?
	fi
	disable_new_services "$@"
	allow_service_start
	((status == 0)) || die "apt-get install $* failed (above)"
}

# Those of the arguments that this release of Debian or Ubuntu has.
available_packages() {
	local name
	have_package_lists || update_package_lists
	for name in "$@"; do
		if apt-cache show "$name" >/dev/null 2>&1; then printf '%s\n' "$name"; else say "setup: no package $name here; going on without it"; fi
	done
}
