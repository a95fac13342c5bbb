#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing systemd, ssh and Python"
apt-get update -q
apt-get install -qy systemd systemd-sysv dbus sudo python3 python3-apt ca-certificates \
  iproute2 iputils-ping procps kmod curl gnupg openssh-server less netbase
# Images from a registry forbid services to start; a server does not.
rm -f /usr/sbin/policy-rc.d
# Identity of a machine is made at its first start, never shared by copies.
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
: > /etc/machine-id
install -m 0755 "$FILES/host-init.sh" /sbin/lab-init
mkdir -p /run/sshd
printf 'PasswordAuthentication no\nPermitRootLogin prohibit-password\nUseDNS no\n' > /etc/ssh/sshd_config.d/10-lab.conf
# What needs hardware or a console has no place in a container; everything else starts as on any server.
systemctl mask -q systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
  systemd-modules-load.service sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
  systemd-firstboot.service getty.target console-getty.service dev-hugepages.mount e2scrub_reap.service \
  e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer
systemctl enable -q ssh.service
