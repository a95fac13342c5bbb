# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `llmops lab …`: throw-away hosts on this machine, and the ordinary apply over them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from llmops_serving.errors import DriverError
from llmops_serving.paths import bundled_inventory, collection_root, run_environment
from llmops_serving.site import Site

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from llmops_serving.lab import Lab
    from llmops_serving.results import RunResult, Server

ENGINES_HELP = "engines to have images of, separated by commas, or all (default: llama_cpp,infinity)"
QUESTION = "What is the capital of France?"


def add_lab_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    apply: Callable[[Site, argparse.Namespace], RunResult],
) -> None:
    """Add the command `lab` to the command line.

    Args:
        commands: Where the commands of `llmops` are.
        apply: Applies a site and shows what came of it.
    """
    text = "throw-away hosts with real engines on this machine"
    lab = commands.add_parser("lab", help=text, description=text[0].upper() + text[1:] + ".")
    actions = lab.add_subparsers(dest="action", required=True, metavar="ACTION")

    up = actions.add_parser("up", help="boot the lab and apply inventories/lab to it")
    up.add_argument("--hosts", type=int, default=1, metavar="N", help="number of hosts (default: 1)")
    up.add_argument("--suite", default="bookworm", help="Debian release of the hosts: bookworm, trixie or forky")
    up.add_argument("--engines", default="", metavar="LIST", help=ENGINES_HELP)
    up.add_argument("--no-apply", action="store_true", help="boot the hosts and leave them bare")
    up.add_argument("--json", action="store_true", help="one JSON document on stdout, progress on stderr")
    up.add_argument("--diff", action="store_true", help="show differences, secrets masked")
    up.add_argument(
        "-v", "--verbose", action="count", default=0, help="show the output of Ansible; more for more of it"
    )
    up.set_defaults(run=lambda args: _up(args, apply), check=False)

    down = actions.add_parser("down", help="remove all that the lab made")
    down.add_argument(
        "--keep-cache", action="store_true", help="keep images and models, so that the next start is quick"
    )
    down.set_defaults(run=_down)
    actions.add_parser("status", help="say what runs").set_defaults(run=_status)
    shell = actions.add_parser("shell", help="open a shell on a host")
    shell.add_argument("name", nargs="?", default="lab1", metavar="HOST", help="the host (default: lab1)")
    shell.add_argument("words", nargs="*", metavar="WORD", help="a command to run there instead, after --")
    shell.set_defaults(run=_shell)

    host = actions.add_parser("host", help="create or destroy one more host")
    verbs = host.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="boot a bare host")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--suite", default="bookworm", help="Debian release: bookworm, trixie or forky")
    create.add_argument("--engines", default="", metavar="LIST", help=ENGINES_HELP)
    create.set_defaults(run=_host_create)
    destroy = verbs.add_parser("destroy", help="remove a host with all that is on it")
    destroy.add_argument("name", metavar="NAME")
    destroy.set_defaults(run=_host_destroy)


def _lab() -> Lab:
    # The lab needs the Docker library, which no other command should wait for.
    from llmops_serving.lab import Lab  # noqa: PLC0415

    return Lab()


def _engines(words: str) -> tuple[str, ...]:
    from llmops_serving.lab.images import choose_engines  # noqa: PLC0415 - with the lab itself

    chosen: tuple[str, ...] = _guarded(lambda: choose_engines(words))
    return chosen


def _guarded(call: Callable[[], Any]) -> Any:
    from llmops_serving.lab.errors import LabError  # noqa: PLC0415 - with the lab itself

    try:
        return call()
    except LabError as error:
        raise DriverError(str(error)) from error


class StageLines:
    """Prints a line for each stage of the lab.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        """Print to the console."""
        self._console = console
        self._width = 0

    def __call__(self, stage: str, message: str, /) -> None:
        """Print a line; called from several threads."""
        self._width = max(self._width, len(stage))
        line = Text.assemble((stage.ljust(self._width), "bold"), "  ", message)
        self._console.print(line, soft_wrap=True)


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)


def _up(args: argparse.Namespace, apply: Callable[[Site, argparse.Namespace], RunResult]) -> int:
    stages = StageLines(_stderr())
    engines = _engines(args.engines)
    _guarded(lambda: _lab().up(hosts=args.hosts, suite=args.suite, progress=stages, engines=engines))
    if args.no_apply:
        return 0
    inventory = bundled_inventory("lab")
    result = apply(Site(inventory, verbosity=max(args.verbose - 1, 0)), args)
    if result.ok:
        lines = list(curl_lines(result, read_hostvars(inventory)))
        # With --json stdout is one document and nothing else.
        out = _stderr() if args.json else Console(highlight=False)
        for line in lines:
            out.print(Text("\n" + line), soft_wrap=True)
    return result.exit_code


def _down(args: argparse.Namespace) -> int:
    _guarded(lambda: _lab().down(keep_cache=args.keep_cache, progress=StageLines(_stderr())))
    return 0


def _status(_args: argparse.Namespace) -> int:
    status = _guarded(lambda: _lab().status())
    console = Console(highlight=False)
    console.print(f"folder   {status.root}", soft_wrap=True)
    console.print(f"docker   {'answers' if status.daemon else 'no daemon answers'}")
    for name, state in sorted(status.containers.items()):
        facts = status.state.hosts.get(name)
        ports = (
            ", ".join(f"{outside} is its {inside}" for inside, outside in sorted(facts.ports.items())) if facts else ""
        )
        engines = f"; {', '.join(facts.engines)}" if facts else ""
        line = Text(f"{name:8} {state}{': port ' + ports if ports else ''}{engines}")
        console.print(line, soft_wrap=True)
    return 0


def _shell(args: argparse.Namespace) -> int:
    return int(_guarded(lambda: _lab().shell(args.name, args.words)))


def _host_create(args: argparse.Namespace) -> int:
    engines = _engines(args.engines)
    stages = StageLines(_stderr())
    _guarded(lambda: _lab().create_host(args.name, suite=args.suite, progress=stages, engines=engines))
    return 0


def _host_destroy(args: argparse.Namespace) -> int:
    _guarded(lambda: _lab().destroy_host(args.name))
    return 0


def read_hostvars(inventory: Path) -> dict[str, Any]:
    """Ask Ansible for the variables of an inventory's hosts.

    Args:
        inventory: The inventory.

    Returns:
        Variables by host.

    Raises:
        DriverError: The inventory cannot be read.
    """
    environment = {**os.environ, **run_environment(os.environ, Path.cwd(), collection_root())}
    command = shutil.which("ansible-inventory", path=environment["PATH"])
    if command is None:
        msg = "ansible-inventory was not found: install ansible-core in the environment of llmops"
        raise DriverError(msg)
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        [command, "-i", str(inventory), "--list"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"the inventory {inventory} cannot be read: {done.stderr.strip()}"
        raise DriverError(msg)
    return dict(json.loads(done.stdout).get("_meta", {}).get("hostvars", {}))


def curl_lines(result: RunResult, hostvars: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Write the commands that chat with the servers of the lab from this machine.

    Args:
        result: The results of an apply.
        hostvars: Variables by host: `lab_published_ports` maps a port of the host to one of this machine, and
            `lab_api_key_file` names the file that holds the key, which the shell reads and nobody prints.

    Yields:
        One command for each server that chats and that can be reached from this machine.
    """
    for server in result.servers:
        chat = next((probe for probe in server.probes if probe.probe == "chat" and probe.ok), None)
        variables = hostvars.get(server.host, {})
        published = {str(inside): outside for inside, outside in (variables.get("lab_published_ports") or {}).items()}
        port = published.get(str(_port(server)))
        if chat is None or port is None:
            continue
        key_file = variables.get("lab_api_key_file")
        key = [f'-H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})"'] if key_file else []
        model = chat.model or next(iter(server.models), "")
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 32})
        yield " ".join(
            [
                f"curl -sS http://127.0.0.1:{port}/v1/chat/completions",
                *key,
                "-H 'Content-Type: application/json'",
                f"-d {shlex.quote(body)}",
            ]
        )


def _port(server: Server) -> int | None:
    port = server.data.get("port")
    return int(port) if port else urlsplit(server.url).port
