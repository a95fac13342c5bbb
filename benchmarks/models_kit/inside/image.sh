#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What the collection's model store is compared with, beside the lab's hub (nginx and git's own server).
echo "::: installing git-lfs, wget, curl, aria2 and huggingface_hub"
apt-get update -q
apt-get install -qy git-lfs wget curl aria2
git lfs install --system --skip-repo
python3 -m venv /opt/hf
/opt/hf/bin/pip install --no-compile "huggingface_hub==$HF_VERSION"
python3 -m compileall -q -j 0 /opt/hf || true
