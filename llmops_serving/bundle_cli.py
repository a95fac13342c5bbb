# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `llmops bundle …`: carry models and images to where there is no internet."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ansible_collections.llmops.serving.plugins.module_utils._model_files import human
from llmops_serving.bundle.settings import LISTEN, PLATFORM
from llmops_serving.errors import UsageError
from llmops_serving.site import Site

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import RenderableType

    from llmops_serving.bundle.create import Made
    from llmops_serving.bundle.document import Bundle
    from llmops_serving.bundle.load import Loaded, Options

_SHOWN_DIGITS = 12


def add_bundle_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], show: Callable[[RenderableType], None]
) -> None:
    """Add the command `bundle` to the command line.

    Args:
        commands: Where the commands of `llmops` are.
        show: Prints something for people.
    """
    text = "carry the models and images of an inventory to where there is no internet"
    bundle = commands.add_parser("bundle", help=text, description=text[0].upper() + text[1:] + ".")
    actions = bundle.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_create(actions, show)
    _add_load(actions, show)
    verify = actions.add_parser("verify", help="hash every file of a bundle, and name those that are damaged")
    verify.add_argument("folder", type=Path, metavar="DIR", help="the bundle")
    verify.set_defaults(run=_verify, json=False)


def _add_create(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], show: Callable[[RenderableType], None]
) -> None:
    create = actions.add_parser("create", help="fetch all models and images of an inventory into a folder")
    create.add_argument("-i", "--inventory", action="append", required=True, metavar="PATH", help="inventory")
    create.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder of the bundle")
    create.add_argument("-l", "--limit", metavar="PATTERN", help="only what the hosts that match need")
    create.add_argument(
        "--platform",
        action="append",
        default=[],
        metavar="OS/ARCH",
        help=f"what images are for, again for each, or all (default: {PLATFORM})",
    )
    create.add_argument("--ca", type=Path, metavar="FILE", help="authorities to trust besides the system's, PEM")
    create.add_argument("--verify", action="store_true", help="hash what is there, and fetch damaged files again")
    create.add_argument("--prune", action="store_true", help="remove files of an earlier inventory")
    create.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="key=value, JSON or @file"
    )
    create.add_argument("--vault-password-file", metavar="FILE", help="as of ansible-playbook")
    create.add_argument("--json", action="store_true", help="one JSON document on stdout, progress on stderr")
    create.set_defaults(run=lambda args: _create(args, show))


def _add_load(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], show: Callable[[RenderableType], None]
) -> None:
    load = actions.add_parser("load", help="check a bundle, and serve it as hub and registry until Ctrl-C")
    load.add_argument("folder", type=Path, metavar="DIR", help="the bundle")
    load.add_argument(
        "--listen", default=LISTEN, metavar="ADDR:PORT", help=f"where hosts reach this machine (default: {LISTEN})"
    )
    load.add_argument("--name", default="", metavar="NAME", help="by which name hosts reach it, if not by ADDR")
    load.add_argument("--cert", type=Path, metavar="FILE", help="certificate of the site's own authority")
    load.add_argument("--key", type=Path, metavar="FILE", help="its key")
    load.add_argument(
        "--ca", type=Path, metavar="FILE", help="that authority, or the registry's, for hosts that do not know it"
    )
    load.add_argument(
        "--state", type=Path, metavar="DIR", help="where certificate and variables go (default: the bundle)"
    )
    load.add_argument(
        "--push-registry", metavar="HOST[:PORT][/PREFIX]", help="push the images to a registry instead of serving them"
    )
    load.add_argument("--no-serve", action="store_true", help="only push")
    load.add_argument("--access-log", type=Path, metavar="FILE", help="write a line of JSON for each request")
    load.set_defaults(run=lambda args: _load(args, show), json=False)


def _create(args: argparse.Namespace, show: Callable[[RenderableType], None]) -> int:
    from llmops_serving.bundle.create import create_bundle, left_over  # noqa: PLC0415  no other command needs it
    from llmops_serving.bundle.progress import Bars  # noqa: PLC0415
    from llmops_serving.bundle.settings import Settings  # noqa: PLC0415
    from llmops_serving.bundle.trust import trusted  # noqa: PLC0415
    from llmops_serving.bundle.words import read_inventory  # noqa: PLC0415

    site = Site(
        args.inventory,
        limit=args.limit,
        extra_vars_options=tuple(args.extra_vars),
        vault_password_file=args.vault_password_file,
    )
    with trusted(args.ca) as ca_path, Bars(_stderr()) as bars:
        bars.say("reading the inventory")
        settings = Settings(
            folder=args.output.absolute(),
            bars=bars,
            platforms=tuple(args.platform) or (PLATFORM,),
            ca_path=ca_path,
            verify=args.verify,
            prune=args.prune,
        )
        made = create_bundle(read_inventory(site), settings)
    if args.json:
        sys.stdout.write(json.dumps(_facts(made), indent=2) + "\n")
        return 0
    show("")
    show(contents(made.bundle))
    for line in _summary(made, left_over(made)):
        show(Text(line))
    return 0


def _facts(made: Made) -> dict[str, object]:
    return {
        "version": 1,
        "folder": str(made.folder),
        "sha256": made.checksum,
        "bytes": made.bundle.size,
        "fetched_bytes": made.fetched,
        "left_over": [str(path) for path in made.left],
        "hosts": list(made.bundle.hosts),
        "models": [
            {"name": model.name, "source": model.source, "revision": model.revision, "bytes": model.size}
            for model in made.bundle.models
        ],
        "images": [
            {"reference": image.reference, "digest": image.digest, "bytes": image.size} for image in made.bundle.images
        ],
    }


def _summary(made: Made, left_over: str) -> list[str]:
    bundle = made.bundle
    lines = [
        "",
        f"{made.folder}  {human(bundle.size)} in {len(bundle.files())} files, {human(made.fetched)} fetched now",
        f"sha256 of bundle.json, which vouches for all of it: {made.checksum}",
        f"copy the folder to where it is needed, then: llmops bundle load {made.folder.name} --listen ADDRESS:8443",
    ]
    return [*lines, left_over] if left_over else lines


def contents(bundle: Bundle) -> Table:
    """Lay out what a bundle holds.

    Args:
        bundle: The bundle.

    Returns:
        A table: a row for each model and each image.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("what")
    table.add_column("name", overflow="fold")
    table.add_column("source", overflow="fold", ratio=1)
    table.add_column("version", no_wrap=True)
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for model in bundle.models:
        table.add_row("model", model.name, model.source, model.key, str(len(model.files)), human(model.size))
    for image in bundle.images:
        digest = image.digest.partition(":")[2][:_SHOWN_DIGITS]
        count = str(len(image.manifests) + len(image.blobs))
        table.add_row("image", image.reference, "", digest, count, human(image.size))
    return table


def _load(args: argparse.Namespace, show: Callable[[RenderableType], None]) -> int:
    from llmops_serving.bundle.load import load_bundle  # noqa: PLC0415  as above
    from llmops_serving.bundle.progress import Bars  # noqa: PLC0415

    options = _options(args)
    with Bars(_stderr()) as bars, _terminable():
        loaded = load_bundle(options, bars)
        try:
            if loaded.server:
                loaded.server.start()
            for line in _next(loaded, options):
                show(Text(line))
            if loaded.server:
                _wait()
        except KeyboardInterrupt:
            # That is how it ends.
            bars.say("")
        finally:
            if loaded.server:
                loaded.server.close()
    return 0


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Take the signal with which a service is stopped for Ctrl-C."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait() -> None:
    """Wait for Ctrl-C."""
    threading.Event().wait()


def _options(args: argparse.Namespace) -> Options:
    from llmops_serving.bundle.load import Listen, Options  # noqa: PLC0415  as above
    from llmops_serving.bundle.push import Target  # noqa: PLC0415

    if args.no_serve and not args.push_registry:
        msg = "--no-serve leaves nothing to do without --push-registry; leave it out, or use `llmops bundle verify`"
        raise UsageError(msg)
    folder = args.folder.absolute()
    return Options(
        folder=folder,
        listen=Listen.parse(args.listen, args.name),
        state=args.state.absolute() if args.state else folder,
        certificate=args.cert,
        key=args.key,
        ca=args.ca,
        push=Target.parse(args.push_registry) if args.push_registry else None,
        serve=not args.no_serve,
        access_log=args.access_log,
    )


def _next(loaded: Loaded, options: Options) -> list[str]:
    lines = [""]
    lines += [f"hub       {loaded.served.hub}"] if loaded.served.hub else []
    lines += [f"registry  {loaded.served.registry}"] if loaded.served.registry else []
    lines += [f"variables {loaded.variables}", "", "Now, from here or from wherever the inventory is:"]
    lines.append(f"  llmops apply -i INVENTORY -e @{loaded.variables}")
    if loaded.server and options.listen.local:
        lines.append(
            f"{options.listen.name} is this machine alone; for other hosts: --listen ITS-ADDRESS:{options.listen.port}"
        )
    return [*lines, "", "Ctrl-C ends it."] if loaded.server else lines


def _verify(args: argparse.Namespace) -> int:
    from llmops_serving.bundle.checksums import check_bundle  # noqa: PLC0415  as above
    from llmops_serving.bundle.document import read_bundle  # noqa: PLC0415
    from llmops_serving.bundle.progress import Bars  # noqa: PLC0415

    bundle, checksum = read_bundle(args.folder)
    with Bars(_stderr()) as bars:
        check_bundle(bundle, args.folder, bars)
        bars.say(f"{len(bundle.files())} files are as they were made; bundle.json has sha256 {checksum}")
    return 0


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)
