# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Tell versions of the tools that a report was made with."""

from __future__ import annotations

import json

import yaml
from ansible.release import __version__ as ansible_version

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import ROLES


def tool_versions() -> dict[str, str]:
    """Give the versions of the collection and of ansible-core.

    The collection's is in `galaxy.yml` of a checkout or wheel, and in `MANIFEST.json` of an installed tarball.
    """
    galaxy, manifest = ROLES.parent / "galaxy.yml", ROLES.parent / "MANIFEST.json"
    if galaxy.is_file():
        version = yaml.safe_load(galaxy.read_text(encoding="utf-8"))["version"]
    else:
        version = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]
    return {"llmops.serving": str(version), "ansible-core": ansible_version}
