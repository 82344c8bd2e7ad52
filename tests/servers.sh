#!/bin/sh
# The servers that the tests start for themselves: installed where that may be done, otherwise named.
set -eu
missing=""
for server in nginx wrk redis-server; do
    command -v "$server" >/dev/null || missing="$missing $server"
done
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests start servers of their own, and these are not here. On Debian, as root: apt-get install$missing"
    exit 1
fi
echo "setting up: servers that the tests start:$missing"
# None of them is to run by itself: a port of its own is all it would take away from somebody.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086 - several words are meant
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
