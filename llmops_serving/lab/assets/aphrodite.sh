#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# On top of vLLM's image: Aphrodite needs the same libraries in the same versions, and borrows vLLM's kernels, since its
# wheel holds those for CUDA only.
echo "::: installing Aphrodite"
pip install --no-compile --no-deps -r "$FILES/aphrodite-pins.txt"
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
cd "$site/aphrodite"
echo "::: trimming"
rm -rf vllm_flash_attn/*.so _C_stable_libtorch.abi3.so _moe_C_stable_libtorch.abi3.so _flash*.so _qutlass_C.abi3.so \
  cumem_allocator.abi3.so aphrodite-rs third_party/deep_gemm third_party/fmha_sm100
for name in _C _C_AVX2 _C_AVX512; do ln -s ../vllm/_C_AVX2.abi3.so "$name.abi3.so"; done
# As in vLLM's image: no kernels for AMX.
grep -rlE 'torch(\._C)?\.(_)?cpu\._is_amx_tile_supported\(\)' --include='*.py' . |
  xargs -r sed -i -E 's/torch(\._C)?\.(_)?cpu\._is_amx_tile_supported\(\)/False/g'
echo "::: compiling"
python3 -m compileall -q -j 0 "$site/aphrodite" || true
find "$site/aphrodite" -type f ! -perm -o=r -exec chmod a+r {} +
mkdir -p /app
