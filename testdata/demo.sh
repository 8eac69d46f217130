#!/usr/bin/env bash
# The SLB tutorial, for real: two web servers behind a balancer, a name for it, a
# proof of what happens when a server dies, and everything released again.
# Usage: demo.sh SLBCTL CLIENT (the program in testdata/client, which stands in for
# curl and dig where they are not installed)
set -euo pipefail

slbctl=$(realpath "$1")
client=$(realpath "$2")
tutorial=$(realpath "$(dirname "$0")/quickstart")
folder=$(mktemp -d)
cd "$folder"

say() { printf '\n\033[1m# %s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
run() { printf '$ slbctl %s\n' "$*"; "$slbctl" "$@"; }
clean_up() {
  "$slbctl" runtime stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap clean_up EXIT

cp "$tutorial"/*.slb.hcl .

# Port 80 takes a privilege, or a machine that hands it out to everybody, and
# nobody else who holds it on all addresses.
may_bind() {
  local port=$1 capabilities lowest holder
  capabilities=$(awk '$1 == "CapEff:" { print $2 }' /proc/self/status)
  lowest=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 1024)
  (((16#$capabilities >> 10) & 1)) || [ "$lowest" -le "$port" ] || return 1
  holder=$(printf ' 00000000:%04X 00000000:0000 0A' "$port")
  ! grep -q "$holder" /proc/net/tcp
}
if [ -z "${SLBCTL_PORT_OFFSET:-}" ] && ! { may_bind 80 && may_bind 53; }; then
  export SLBCTL_PORT_OFFSET=8000
  say "port 80 may not be bound here, so SLBCTL_PORT_OFFSET=8000: it is 8080, and DNS is on 8053"
fi

say "two web servers, a balancer, a name: everything that will be made, and what it does to traffic"
run plan

say "make it so"
run apply -auto-approve

url=$("$slbctl" output -raw url)
say "ask $url until both servers have answered"
seen=""
for _ in $(seq 20); do
  page=$("$client" get "$url")
  echo "$page"
  seen="$seen $page"
  case $seen in *ECS01*ECS02* | *ECS02*ECS01*) both=yes; break ;; esac
done
[ "${both:-}" = yes ] || { echo "only one server has answered" >&2; exit 1; }

address=${url#http://}
address=${address%%:*}
name_server=$("$slbctl" status | awk '$1 == "dns" { print $2; exit }')
say "ask the name server at $name_server for www.abc.com"
answer=$("$client" resolve "$name_server" www.abc.com)
echo "$answer"
case $answer in *600*IN*A*"$address"*) ;; *) echo "this is not $address with a TTL of 600 s" >&2; exit 1 ;; esac

say "who serves, how well, how much"
run status

say "would anybody notice if ECS02 died? five minutes of traffic in virtual time"
run sim

say "release everything"
run destroy -auto-approve

say "done: nothing is left running"
