#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

echo "::: installing SGLang"
apt-get update -q
# libnuma is loaded by SGLang; binutils is for this script only.
apt-get install -qy libnuma1 binutils
# Without its dependencies, which are several gigabytes for CUDA.
pip install --no-compile --no-deps -r "$FILES/sglang-pins.txt"
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
cd "$site"
echo "::: trimming"
# Triton is imported everywhere and compiles nothing here: its compilers for GPUs are a gigabyte.
strip --strip-unneeded triton/_C/libtriton.so
rm -rf triton/_C/libproton.so triton/profiler triton/instrumentation triton/backends/nvidia/bin/* \
  triton/backends/nvidia/lib/cupti* triton/backends/amd/lib/libtriton_amd_codegen.so
rm -rf sglang/test sglang/srt/rust_extensions/_bench.*
# The only torchvision on PyPI is built for CUDA. Its Python half loads if the two operations it registers exist by name.
rm -rf torchvision.libs torchvision/*.so
cat >> torchvision/extension.py <<'STANDIN'


_stand_in = torch.library.Library("torchvision", "DEF")
_stand_in.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_stand_in.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
STANDIN
install -D -m 0644 "$FILES/sgl_kernel_standin.py" sgl_kernel/__init__.py
apt-get purge -qy --auto-remove binutils
echo "::: compiling"
# A read-only container cannot keep what it compiles.
python3 -m compileall -q -j 0 "$site" || true
# Every user must be able to read all. Only what is not so: to touch a file of the base image is to copy it.
find "$site" -type f ! -perm -o=r -exec chmod a+r {} +
mkdir -p /sgl-workspace/sglang
SGLANG_USE_CPU_ENGINE=1 python3 -c 'import sglang.launch_server, sglang.srt.managers.scheduler'
