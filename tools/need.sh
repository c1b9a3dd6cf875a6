#!/bin/sh
# What the tests need beside Go: PostgreSQL's server programs, Chromium, and the interpreters and gateways of
# docs/examples. Installs them on Debian and its kin when it may, and otherwise says what to install.
set -eu

postgres() {
	command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

browser() {
	command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1
}

# nginx stands where not everybody's PATH leads.
gateway() {
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]
}

# Debian starts the services that it installs. Tests start their own: nobody else may hold the ports, or answer.
without_services() {
	policy=/usr/sbin/policy-rc.d
	if [ -e "$policy" ]; then
		"$@"
		return
	fi
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	"$@"
}

missing=""
postgres || missing="$missing postgresql"
browser || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v python3 >/dev/null 2>&1 || missing="$missing python3"
gateway nginx || missing="$missing nginx-light"
gateway caddy || missing="$missing caddy"
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
	echo "installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086
	without_services apt-get install -y -qq --no-install-recommends $missing >/dev/null
	exit 0
fi

echo "The tests need$missing. On Debian or Ubuntu: sudo apt-get install --no-install-recommends$missing" >&2
exit 1
