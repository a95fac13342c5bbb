#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing nginx, git and giftless"
apt-get update -q
apt-get install -qy nginx-light fcgiwrap git python3 python3-venv
python3 -m venv /opt/giftless
/opt/giftless/bin/pip install --no-compile --no-deps giftless==0.6.2
/opt/giftless/bin/pip install --no-compile gunicorn flask flask-classful flask-marshmallow marshmallow webargs figcan \
  python-dotenv pyyaml pyjwt cryptography importlib-metadata cachetools python-dateutil typing-extensions
# Repositories belong to whoever made them on the build machine.
git config --system safe.directory '*'
install -m 0755 "$FILES/hub-start.sh" /usr/local/bin/hub-start
install -D -m 0644 -t /opt/hub "$FILES/hub_app.py" "$FILES/hub_resolve.py"
rm -f /etc/nginx/sites-enabled/default
