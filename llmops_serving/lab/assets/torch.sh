#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing Python"
apt-get update -q
apt-get install -qy python3 python3-venv curl ca-certificates
python3 -m venv /opt/venv
PATH=/opt/venv/bin:$PATH
echo "::: installing PyTorch $TORCH_VERSION (CPU build)"
pip install --no-compile "torch==$TORCH_VERSION+cpu" \
  || pip install --no-compile --extra-index-url https://download.pytorch.org/whl/cpu "torch==$TORCH_VERSION+cpu"
# What only a compiler or PyTorch's own tests read: a fifth of the layer.
torch=$(python3 -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/torch
rm -rf "$torch/include" "$torch/test" "$torch/share/cmake"
find "$torch/bin" -type f ! -name torch_shm_manager -delete
find "$torch" -name '*.a' -delete
echo "::: compiling"
python3 -m compileall -q -j 0 "${torch%/torch}" || true
python3 -c 'import torch; assert "cpu" in torch.__version__; print(torch.ones(2).sum())'
