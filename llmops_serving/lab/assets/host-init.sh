#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# First process of a lab host: does what a machine's firmware and first boot would have done, then becomes systemd.
set -eu
# Build machines with hybrid control groups: a fresh cgroup2 tree makes systemd and a Docker inside work.
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Network settings are this host's own and Docker writes them; all others are the build machine's and stay read-only.
mkdir -p /run/lab-proc
mount -t proc proc /run/lab-proc
mount --bind /run/lab-proc/sys/net /proc/sys/net
umount /run/lab-proc
# A container shares its machine's kernel, and with it the mark by which a restart is told; every boot has its own here.
cat /proc/sys/kernel/random/uuid > /run/lab-boot-id
mount --bind /run/lab-boot-id /proc/sys/kernel/random/boot_id
# A parent that shares its mounts would see those of containers inside this host, and Docker wants them shared here.
mount --make-rshared /
ssh-keygen -A >/dev/null
if [ /usr/local/share/ca-certificates -nt /etc/ssl/certs/ca-certificates.crt ]; then
  update-ca-certificates >/dev/null 2>&1
fi
export container=docker
exec /lib/systemd/systemd
