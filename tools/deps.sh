#!/bin/sh
# Installs the programs that the tests use beside Go, or names them: a C compiler (for the race detector), PostgreSQL's
# server programs, PgBouncer, Chromium, and the interpreters and gateways of docs/examples. Installs on Debian and its
# relatives when run as root, and elsewhere names the packages.
set -eu

has() {
	command -v "$1" >/dev/null 2>&1
}

compiler() {
	has "${CC:-gcc}" || has cc || has clang
}

postgres() {
	has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

browser() {
	has chromium || has chromium-browser || has google-chrome
}

# Debian installs servers in a directory that is not in every user's PATH.
server() {
	has "$1" || [ -x "/usr/sbin/$1" ]
}

missing=""
compiler || missing="$missing gcc libc6-dev"
postgres || missing="$missing postgresql"
browser || missing="$missing chromium"
has node || missing="$missing nodejs"
has python3 || missing="$missing python3"
server nginx || missing="$missing nginx-light"
server caddy || missing="$missing caddy"
server pgbouncer || missing="$missing pgbouncer"
[ -n "$missing" ] || exit 0

if ! has apt-get || [ "$(id -u)" != 0 ]; then
	echo "The tests need$missing. On Debian or Ubuntu: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

echo "The tests need programs that this machine lacks. Installing with apt-get:$missing"
echo "No service is started or enabled, and no PostgreSQL cluster is made; the tests start their own on free ports."

# What follows keeps the packages from changing more of the system than their files. Each measure is undone at the end.
undo=""
trap 'eval "$undo"' EXIT
trap 'exit 1' HUP INT TERM

# invoke-rc.d asks this file whether a package may start its service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	undo="rm -f $policy; $undo"
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi

# The package postgresql makes a cluster, and starts it at every boot, unless postgresql-common is configured otherwise.
clusters=/etc/postgresql-common/createcluster.d
case $missing in *postgresql*)
	if [ ! -d /etc/postgresql-common ]; then
		undo="rm -f $clusters/xenoauth-tests.conf; rmdir $clusters 2>/dev/null || true; $undo"
		mkdir -p "$clusters"
		echo "create_main_cluster = false" >"$clusters/xenoauth-tests.conf"
	fi
esac

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null

# Units that the packages enabled for the next boot. Only those of packages installed just now.
if has systemctl; then
	for unit in postgresql nginx caddy pgbouncer; do
		case $missing in *"$unit"*) systemctl disable --quiet "$unit" 2>/dev/null || true ;; esac
	done
fi
echo "Installed."
