#!/bin/sh
# What the tests need beside Go: PostgreSQL's server programs, Chromium, and the interpreters of docs/examples. Installs
# them on Debian and its kin when it may, and otherwise says what to install.
set -eu

postgres() {
	command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

browser() {
	command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1
}

missing=""
postgres || missing="$missing postgresql"
browser || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v python3 >/dev/null 2>&1 || missing="$missing python3"
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
	echo "installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086
	apt-get install -y -qq --no-install-recommends $missing >/dev/null
	exit 0
fi

echo "The tests need$missing. On Debian or Ubuntu: sudo apt-get install --no-install-recommends$missing" >&2
exit 1
