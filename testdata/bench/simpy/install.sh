#!/bin/sh
# Installs SimPy from Debian, where that can be; the comparison goes on without it.
python=/usr/bin/python3
if $python -c 'import simpy' 2>/dev/null || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# Up to Debian 12 python3-simpy is version 2, which is another language.
apt-get install -y -q --no-install-recommends python3-simpy3 >/dev/null 2>&1 ||
  apt-get install -y -q --no-install-recommends python3-simpy >/dev/null || exit 0
