#!/usr/bin/env bash
# Runs the steps of the Dockerfile in a clean folder, where no container engine is needed, and then what it makes:
# the server must refuse to start without AUTH, be healthy with it, and stop in time.
# Each stage becomes a folder that stands for its root; the Node at hand stands for the image's.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
server=''
trap '[[ -z $server ]] || kill -9 "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() {
  echo "container steps: $*" >&2
  [[ ! -f $work/server.log ]] || cat "$work/server.log" >&2
  exit 1
}

from() {
  stage="$work/${3:-final}"
  workdir="$stage"
  mkdir -p "$stage/tmp"
  environment=()
}

# An absolute path is one in the stage; a relative one starts from its WORKDIR.
in_stage() { if [[ $1 == /* ]]; then echo "$stage$1"; else echo "$workdir/$1"; fi; }

copy() {
  local source="$root" target
  if [[ $1 == --from=* ]]; then
    source="$work/${1#--from=}"
    shift
  fi
  target=$(in_stage "${*: -1}")
  mkdir -p "${target%/*}"
  if [[ $1 == . ]]; then
    sed 's#^#./#' "$root/.dockerignore" >"$work/ignored"
    tar -C "$root" --anchored --exclude-from="$work/ignored" -cf - . | tar -C "$target" -xf -
  else
    for name in "${@:1:$#-1}"; do cp -r "$source/${name#/}" "$target"; done
  fi
}

# Only root may give files away; without it, the folder of the data is ours anyway.
run() {
  local command="${*//\/data/$stage/data}"
  command="${command//\/access/$stage/access}"
  command="${command//\/backups/$stage/backups}"
  ((EUID == 0)) || command="chown() { :; }; $command"
  (cd "$workdir" && env "${environment[@]}" sh -ec "$command")
}

words() { node -e 'console.log(JSON.parse(process.argv[1]).join("\0"))' "$1" | head -c -1; }

instruction() {
  local name=$1 rest=$2
  local -a args
  read -ra args <<<"$rest"
  case $name in
    FROM) from "${args[@]}" ;;
    WORKDIR) workdir=$(in_stage "$rest") && mkdir -p "$workdir" ;;
    ENV) environment+=("${rest/=\/data/=$stage/data}") ;;
    COPY) copy "${args[@]}" ;;
    RUN) run "$rest" ;;
    HEALTHCHECK) mapfile -d '' -t healthcheck < <(words "${rest#*CMD }") ;;
    CMD) mapfile -d '' -t command < <(words "$rest") ;;
    USER | VOLUME | EXPOSE) ;;
    *) fail "the Dockerfile has an instruction that this script does not know: $name" ;;
  esac
}

while read -r name rest; do
  [[ -z $name || $name == '#'* ]] && continue
  echo "-- $name $rest"
  instruction "$name" "$rest"
done <"$root/Dockerfile"

# Takes the place of the shell that calls it, so that a signal reaches the server and not a shell before it.
become() {
  cd "$workdir"
  exec env -i PATH="$PATH" "${environment[@]}" "$@"
}

if (become timeout 20 "${command[@]}") >"$work/refusal.log" 2>&1; then fail 'started without AUTH'; fi
grep -q AUTH "$work/refusal.log" || fail "the refusal does not name AUTH: $(cat "$work/refusal.log")"

port=$(node -e 'const s = require("node:net").createServer().listen(0, () => { console.log(s.address().port); s.close(); })')
become PORT="$port" AUTH=none "${command[@]}" >"$work/server.log" 2>&1 &
server=$!
for attempt in {1..50}; do
  kill -0 "$server" 2>/dev/null || fail 'the server ended'
  if (become PORT="$port" "${healthcheck[@]}"); then break; fi
  ((attempt < 50)) || fail 'not healthy'
  sleep 0.2
done

kill "$server"
for attempt in {1..100}; do
  kill -0 "$server" 2>/dev/null || break
  ((attempt < 100)) || fail 'still there 10 s after SIGTERM'
  sleep 0.1
done
wait "$server" || fail "ended with $? after SIGTERM"
server=''
echo 'container steps: built, refused to start without AUTH, healthy with it, stopped in time'
