#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# First process of the hub: git and the Python application in the background, nginx in front.
set -eu
mkdir -p /run/hub /var/log/hub
rm -f /run/hub/*
fcgiwrap -c 4 -s unix:/run/hub/git.sock &
cd /opt/hub
/opt/giftless/bin/gunicorn --workers 2 --threads 4 --bind unix:/run/hub/app.sock --log-level warning hub_app:app &
while [ ! -S /run/hub/git.sock ] || [ ! -S /run/hub/app.sock ]; do sleep 0.1; done
chmod 0666 /run/hub/*.sock
touch /run/hub/ready
exec nginx -c /etc/hub/nginx.conf -g 'daemon off;'
