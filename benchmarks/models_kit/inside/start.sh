#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# First process of the benchmark's container: a model hub on loopback, at several speeds.
set -eu
mkdir -p /run/hub /var/log/bench
# As Ansible sends a module: in an archive, so that its code is compiled in each run.
(cd /collections && python3 -m zipfile -c /run/collection.zip ansible_collections)
fcgiwrap -c 4 -s unix:/run/hub/git.sock &
python3 /bench/hub.py &
until [ -S /run/hub/git.sock ] && curl -so /dev/null http://127.0.0.1:8000/; do sleep 0.1; done
chmod 0666 /run/hub/git.sock
exec nginx -c /bench/nginx.conf -g 'daemon off;'
