#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing docker-registry"
apt-get update -q
apt-get install -qy docker-registry ca-certificates
install -m 0755 "$FILES/registry-start.sh" /usr/local/bin/registry-start
