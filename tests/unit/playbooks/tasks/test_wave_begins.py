# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waves as Ansible itself divides them: which hosts are changed when some fail, or cannot be reached."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
TASKS = ROOT / "playbooks/tasks"
# The keywords of the play are those of the playbooks.
PLAY = """
- hosts: serving
  gather_facts: false
{keywords}
  tasks:
    - import_tasks: {tasks}/wave_begins.yml
    - ping:
      when: inventory_hostname in lost
    - debug:
        msg: "changed: {{{{ inventory_hostname }}}}"
    - fail:
      when: inventory_hostname in bad
    - import_tasks: {tasks}/wave_ends.yml
"""


def keywords(name: str) -> str:
    lines = (ROOT / "playbooks" / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith(("  serial:", "  max_fail_percentage:")))


def play(folder: Path, *, name: str = "site.yml", bad: str = "", lost: str = "", **variables: Any) -> tuple[str, str]:
    """Run a play over the hosts a to f; give those that were changed, and what Ansible printed."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    dead = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-o BatchMode=yes"}
    inventory = {"serving": {"hosts": {host: dead if host in lost else local for host in "abcdef"}}}
    inventory["serving"]["vars"] = variables.pop("inventory", {})
    (folder / "hosts.yml").write_text(json.dumps(inventory))
    (folder / "ansible.cfg").touch()
    (folder / "play.yml").write_text(PLAY.format(keywords=keywords(name), tasks=TASKS))
    extra = json.dumps({"bad": bad, "lost": lost, **variables})
    done = subprocess.run(  # noqa: S603 - our own words, no shell
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.yml", "play.yml", "-e", extra],
        cwd=folder,
        env={**os.environ, "ANSIBLE_CONFIG": "ansible.cfg", "ANSIBLE_STDOUT_CALLBACK": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(done.returncode) == ("not touched" in done.stdout or "fatal: " in done.stdout), done.stderr
    return "".join(sorted(re.findall(r'"msg": "changed: (\w)"', done.stdout))), done.stdout


@pytest.mark.parametrize("name", ["site.yml", "rollback.yml"])
@pytest.mark.parametrize(
    ("words", "changed"),
    [
        # Without waves nobody waits for anybody.
        ({"bad": "b", "lost": "c"}, "abdef"),
        ({"serving_serial": 2}, "abcdef"),
        ({"serving_serial": [1, "50%"], "bad": "c"}, "abcd"),
    ],
)
def test_the_first_wave_with_a_failure_is_the_last(
    tmp_path: Path, name: str, words: dict[str, Any], changed: str
) -> None:
    assert play(tmp_path, name=name, **words)[0] == changed


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        # Ansible itself would go on after a host that it cannot reach.
        ({"serving_serial": 2, "lost": "b"}, "a"),
        ({"serving_serial": 3, "lost": "b", "serving_max_fail_percentage": 34}, "acdef"),
        ({"serving_serial": 3, "lost": "b", "bad": "a", "serving_max_fail_percentage": 34}, "ac"),
        ({"serving_serial": 2, "bad": "ace", "serving_max_fail_percentage": 50}, "abcdef"),
        ({"serving_serial": "1", "bad": "d"}, "abcd"),
    ],
)
def test_what_counts_as_a_failure(tmp_path: Path, words: dict[str, Any], changed: str) -> None:
    assert play(tmp_path, **words)[0] == changed


def test_hosts_that_are_not_touched_say_why(tmp_path: Path) -> None:
    _changed, said = play(tmp_path, serving_serial=3, lost="b")
    assert said.count('"not touched, because the wave before failed at b: mend that, and run again, or allow more') == 3


def test_waves_that_ansible_does_not_see_are_refused(tmp_path: Path) -> None:
    changed, said = play(tmp_path, inventory={"serving_serial": 1})
    assert changed == ""
    assert "it must be an extra variable: -e serving_serial=1" in said
