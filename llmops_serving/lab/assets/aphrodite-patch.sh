#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Aphrodite 0.24.1 calls its stand-in for a Triton kernel with two arguments more than it takes, so on a CPU the first
# completion fails. They concern caches whose blocks differ from the kernel's, which a CPU's do not.
site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
file=$site/aphrodite/utils/cpu_triton_utils.py
python3 - "$file" <<'PATCH'
import sys
from pathlib import Path

path = Path(sys.argv[1])
before, found, after = path.read_text(encoding="utf-8").partition("    TOTAL_CP_WORLD_SIZE: int,\n")
if not found:
    sys.exit(f"{path} is not as in Aphrodite 0.24.1")
path.write_text(f"{before}    kv_cache_block_size: int,\n    blocks_per_kv_block: int,\n{found}{after}", encoding="utf-8")
PATCH
python3 -m compileall -q "$file"
