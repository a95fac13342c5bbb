#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Two faces of one storage: TLS for the hosts, plain HTTP for the build machine's daemon on loopback.
set -eu
docker-registry serve /etc/lab-registry/plain.yml &
exec docker-registry serve /etc/lab-registry/tls.yml
