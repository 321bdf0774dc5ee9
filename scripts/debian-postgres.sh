#!/usr/bin/env bash
# Runs the tests on PostgreSQL once more against that of Debian (package postgresql), in a database that is gone
# afterwards. It listens on a socket file alone.
set -euo pipefail

bin=$(find /usr/lib/postgresql -path '*/bin/initdb' -printf '%h\n' 2>/dev/null | sort -V | tail -1)
[[ -n $bin ]] || { echo "PostgreSQL of Debian is missing: apt-get install postgresql" >&2; exit 1; }

folder=$(mktemp -d /tmp/postgres.XXXXXX)
# PostgreSQL does not run as root.
server() {
  if ((EUID == 0)); then setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/$1" "${@:2}"; else "$bin/$1" "${@:2}"; fi
}
stop() {
  server pg_ctl stop -D "$folder/data" -m immediate -s || true
  rm -rf "$folder"
}
trap stop EXIT

if ((EUID == 0)); then chown postgres "$folder"; fi
chmod 711 "$folder" # the pooler of the tests runs as "nobody", and reaches the socket
server initdb -D "$folder/data" -U postgres --auth=trust --encoding=UTF8 --locale=C >/dev/null
server pg_ctl start -D "$folder/data" -l "$folder/log" -w -s -o "-c listen_addresses= -c unix_socket_directories=$folder"
"$bin/postgres" --version
TEST_POSTGRES="postgres://postgres@localhost/postgres?host=$folder" npx vitest run --project=postgres --project=on-postgres "$@"
