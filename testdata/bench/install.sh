#!/bin/sh
# Installs from Debian what the comparison runs against and with: HAProxy, nginx, wrk and h2load.
set -eu

packages=""
command -v haproxy >/dev/null || packages="$packages haproxy"
command -v nginx >/dev/null || packages="$packages nginx-light"
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || nginx -V 2>&1 | grep -q -e '--with-stream ' || packages="$packages libnginx-mod-stream"
command -v wrk >/dev/null || packages="$packages wrk"
command -v h2load >/dev/null || packages="$packages nghttp2-client"
command -v taskset >/dev/null || packages="$packages util-linux"
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "bench-peers: not installed:$packages; without apt-get they have to come from elsewhere" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "bench-peers: not installed:$packages; run it as root once, or: sudo apt-get install$packages" >&2
  exit 1
fi

# Their packages would start both as services, on port 80.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# Word by word: each is a package.
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $packages >/dev/null
