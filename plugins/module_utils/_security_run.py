# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The module `security_probe`: a stranger's look at a server, as a task."""

from __future__ import annotations

import socket
import typing as t
from dataclasses import asdict

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError, read_key
from ansible_collections.llmops.serving.plugins.module_utils._security import (
    KINDS,
    Finding,
    Report,
    look,
    remedy,
    summary,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: The argument spec of the module.
ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "url": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    # The path of a key file is no secret; no_log false says so to Ansible, which warns at "key" in a name.
    "api_key_file": {"type": "path", "no_log": False},
    "routes": {
        "type": "list",
        "elements": "dict",
        "options": {
            "path": {"type": "str", "required": True},
            "method": {"type": "str", "choices": ["GET", "POST", "PUT"], "default": "POST"},
            "kind": {"type": "str", "choices": list(KINDS), "default": "inference"},
            "open": {"type": "bool", "default": False},
        },
    },
    "accept_open_routes": {"type": "list", "elements": "str", "default": []},
    "closed_at": {"type": "list", "elements": "str"},
    "timeout": {"type": "float", "default": 10.0},
    "ca_path": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
}
_NOTHING: t.Final = Report((), (), (), ())


def run_module(module: AnsibleModule) -> None:
    """Look at a server with a module's parameters, and end the module with what was found.

    Args:
        module: Made with `ARGUMENTS`.
    """
    params = module.params
    key = params["api_key"]
    try:
        key = read_key(params["api_key_file"]) if params["api_key_file"] is not None else key
        reached = [address for address in params["closed_at"] or [] if reaches(address, params["timeout"])]
    except (HttpError, ValueError) as error:
        module.fail_json(changed=False, **_result(_NOTHING, str(error)))
    report = _NOTHING
    if params["routes"]:
        endpoint = Endpoint(params["url"], key, params["timeout"], params["ca_path"], params["validate_certs"])
        report = look(endpoint, params["routes"], params["accept_open_routes"])
    problems = []
    if report.findings:
        problems.append(f"{summary(report.findings)}; {remedy(report.findings, key is not None)}")
    if reached:
        problems.append(
            f"{', '.join(reached)} can be reached from here; check bind and allowed_networks of the server, and the "
            "host's firewall"
        )
    if problems:
        module.fail_json(changed=False, **_result(report, ". ".join(problems), reached))
    counts = [len(names) for names in (report.refused, report.answering, report.absent, params["closed_at"] or [])]
    verdict = "closed: {} routes refuse strangers, {} answer as they may, {} are not there, {} addresses out of reach"
    module.exit_json(changed=False, **_result(report, verdict.format(*counts)))


def reaches(address: str, timeout: float) -> bool:
    """Tell whether a TCP connection to an address can be opened from here.

    Args:
        address: Host and port, an IPv6 address in brackets.
        timeout: Seconds to wait for an answer; a firewall may give none.

    Raises:
        ValueError: It is no such address.
    """
    host, _colon, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"closed_at: {address!r} is no address with a port; write it as 10.0.0.5:8000")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout):
            return True
    except socket.gaierror:
        raise ValueError(f"closed_at: the host of {address!r} does not resolve; use an IP address") from None
    except OSError:
        return False


def _result(report: Report, msg: str, reached: t.Sequence[str] = ()) -> dict[str, t.Any]:
    findings = [*report.findings, *(Finding("", "", "", "no key", None, f"{one} can be reached") for one in reached)]
    return {
        "findings": [asdict(finding) for finding in findings],
        "refused": list(report.refused),
        "answering": list(report.answering),
        "absent": list(report.absent),
        "msg": msg,
    }
