#!/bin/bash
# Turns fresh namespaces (mount, network, PID, host name) into a host with its own temp folder, home,
# accounts and SSH server. As process 1 of its PID namespace it ends with everything it started.
#   host.sh NAME FOLDER KEPT...     KEPT: folders below /tmp that stay visible at their place
set -euo pipefail
name=$1 own=$2
shift 2
hostname "$name"
ip link set lo up
for kept in "$own" "$@"; do
  mkdir -p "$own/tmp${kept#/tmp}"
  mount --bind "$kept" "$own/tmp${kept#/tmp}"
done
mount --rbind "$own/tmp" /tmp
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mkdir /run/sshd
for file in passwd shadow hosts; do mount --bind "$own/$file" "/etc/$file"; done
/usr/sbin/sshd -D -e -f "$own/sshd_config" &
touch "$own/ready"
# Goes on without its SSH server, and takes in orphans.
while true; do sleep 3600 & wait $!; done
