# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the probe modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the connection, attributes and notes of every probe module."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the server's API, for instance V(http://127.0.0.1:8001/v1).
      - Without V(/v1) at its end, each route is tried as given and then under V(/v1).
    type: str
    required: true
  model:
    description:
      - Name of the model to ask, as the server lists it under C(/models).
      - Unset, the first listed one that can do the task is asked.
    type: str
  api_key:
    description:
      - Key to send as bearer token. An empty one is refused; leave it out for a server without a key.
      - Mutually exclusive with O(api_key_file).
    type: str
  api_key_file:
    description: File on the host that holds the key and nothing else.
    type: path
  timeout:
    description: Seconds for each whole request, from connecting to the last byte. A probe sends two to six.
    type: float
    default: 60.0
  ca_path:
    description: PEM file, or directory prepared by C(c_rehash), of further certificate authorities to trust.
    type: path
  validate_certs:
    description: Whether the server's certificate must be valid. Set it to V(false) only for a test.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check mode; a probe only asks, so it does the same then.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
  platform:
    description: Target systems.
    support: full
    platforms: posix
notes:
  - No proxy from the environment is used and no redirect followed, so the answer is that of the server in O(url).
  - A failed check fails the task, with the whole result in it; use C(failed_when) to go on with it.
"""
