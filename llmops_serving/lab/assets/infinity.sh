#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing infinity"
pip install --no-compile --no-deps -r "$FILES/infinity-pins.txt"
echo "::: compiling"
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
find "$site" -type d \( -name tests -o -name test \) \( -path '*/scipy/*' -o -path '*/sklearn/*' -o -path '*/onnx/backend/*' \
  -o -path '*/numpy/*' -o -path '*/sympy/*' \) -prune -exec rm -rf {} +
python3 -m compileall -q -j 0 "$site" || true
mkdir -p -m 0777 /app /app/.cache /app/.cache/huggingface
infinity_emb --help >/dev/null
