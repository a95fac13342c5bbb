# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start an engine of the lab with the words that the plan gives it and a fault put in, and listen to what it says."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, get_status
from ansible_collections.llmops.serving.plugins.module_utils._model_check import check_file
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, parse_models
from ansible_collections.llmops.serving.plugins.module_utils._probes import run_probe
from ansible_collections.llmops.serving.plugins.plugin_utils._checks import server_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import CACHE_DIR, server_plan, server_secrets
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site
from llmops_serving.lab import models
from llmops_serving.lab.state import Paths
from tests.conformance.lab_images import docker, image

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds in which an engine of the lab is ready, or has ended; with imports on two busy cores.
PATIENCE = 600.0
# A fault that takes memory takes it from its container, not from the machine.
_LIMIT = ["--memory", "6g", "--memory-swap", "6g"]
_REVISION = "0123456789ab" + "c" * 28
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 3390680\n"


def _lines(said: bytes) -> list[str]:
    return said.decode(errors="replace").splitlines()


@dataclass(frozen=True)
class Fault:
    """One cause on one engine, as the table has it.

    Attributes:
        engine: The engine's name.
        name: The cause.
        model: A model of the lab, by default the engine's good one.
        task: The model's task, as the inventory gives it; by default the engine's.
        damage: What is done to the model's folder, a function of `DAMAGE`.
        entry: Words of the server's entry.
        argv: Words behind the plan's own, as no inventory that is checked brings them.
        docker: Words for `docker run`, of a host that is smaller or worse.
        accelerator: What the inventory says that the host computes on.
        client_key: The key that the gate sends, if not the server's.
        owner: Whom the secrets belong to, if not the engine's user.
        busy: Whether something else listens on the port.
        ask: The probe that asks the server once it is ready.
    """

    engine: str
    name: str
    model: str = ""
    task: str = ""
    damage: str = ""
    entry: Mapping[str, t.Any] = field(default_factory=dict)
    argv: Sequence[str] = ()
    docker: Sequence[str] = ()
    accelerator: str = "cpu"
    client_key: str = ""
    owner: str = ""
    busy: bool = False
    ask: Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def start(self) -> str:
        """What faults have in common that can be put into one start of the engine."""
        return repr(replace(self, name="", client_key="", ask={"task": ""} if self.ask else {}))


class Heard(t.NamedTuple):
    """What became of it.

    Attributes:
        lines: The engine's log, Docker's words among them.
        code: The exit code of `docker run`, None when the engine lived until it was stopped.
        answer: What the probe says, "" when none was asked or all was well.
        rules: The rules by which the plan has the log read.
        healthy_but: Those for an engine that is ready.
    """

    lines: list[str]
    code: int | None
    answer: str
    rules: list[dict[str, t.Any]]
    healthy_but: list[dict[str, t.Any]]


class Stage:
    """A place on disk that is the host's for one fault: its model store, its generation, its cache."""

    def __init__(self, fault: Fault, root: Path) -> None:
        """Lay the model there, damaged as the fault says."""
        self.fault = fault
        self.root = root
        self.definition = definitions()[fault.engine]
        self.gguf = self.definition["models"]["format"] == "gguf"
        good = "minilm" if self.definition["default_task"] == "embedding" else "tiny-chat"
        self.source = models.place(Paths()) / (fault.model or good + ("-gguf" if self.gguf else ""))
        entry: dict[str, t.Any] = {"repo": "lab/model", "revision": _REVISION}
        entry |= {"task": fault.task} if fault.task else {}
        entry |= {"file": "model.gguf"} if self.gguf else {}
        self.site = Site(
            models={"model": entry},
            model_dir=str(root / "models"),
            registries={},
            accelerator=fault.accelerator,
            engines=definitions(),
            images={fault.engine: f"registry.example/{fault.engine}:1"},
        )
        self.port = _free_port()
        name = f"doctor-{fault.engine.replace('_', '-')}-{self.port}"
        base = {"name": name, "engine": fault.engine, "model": "model", "port": self.port, "cpu_threads": 2}
        # The CPU image on whatever host: the lab has no other.
        self.server: dict[str, t.Any] = base | dict(fault.entry)
        if self.server["cpu_threads"] is None or fault.accelerator != "cpu":
            del self.server["cpu_threads"]
        specs, _problems = parse_models(self.site.models)
        self.folder = Path(self.site.model_dir) / specs[0].name / specs[0].key
        self._lay()

    def _lay(self) -> None:
        self.folder.mkdir(parents=True)
        for path in self.source.rglob("*"):
            place = self.folder / ("model.gguf" if self.gguf else path.relative_to(self.source))
            if path.is_file() and not path.name.startswith("."):
                place.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, place)
        if self.fault.damage:
            DAMAGE[self.fault.damage](self.folder)

    def problems(self) -> list[str]:
        """List what the preflight has against the server's entry."""
        return list(server_problems(self.server, self.site))

    def model_problem(self) -> str:
        """Say what the model's check has against its files, "" when they pass."""
        for path in sorted(self.folder.rglob("*")) if self.folder.is_dir() else []:
            try:
                if path.is_file():
                    check_file(path, path.name, "serving_models.model")
            except ModelError as error:
                return str(error)
        return "" if self.folder.is_dir() else "absent"

    def hear(self, faults: Sequence[Fault]) -> list[Heard]:
        """Start the engine, wait until it is ready or ended, ask it if it shall be asked, and end it.

        Args:
            faults: Those that need just this start, each with a question of its own, or one without any.

        Returns:
            What became of each.
        """
        planned = server_plan(self.server, self.site)
        secrets = server_secrets(self.server, self.site)
        owner = tuple(int(number) for number in (self.fault.owner or planned["user"]).split(":"))
        run = planned["unit_words"]["run"]
        asked = {"unit": json.dumps(run), "files": planned["files"]}
        kept = Secrets(secrets["files"], secrets["client_key"], t.cast("tuple[int, int]", owner))
        generation = Store(self.server["name"], self.root / "servers").add(asked, image(self.fault.engine), kept)
        argv = self._words(json.loads(generation.unit), planned["user"])
        log = self.root / "log"
        with contextlib.ExitStack() as stack:
            if self.fault.busy:
                stack.enter_context(listening(self.port))
            out = stack.enter_context(log.open("wb"))
            process = subprocess.Popen(["docker", "run", *argv], stdout=out, stderr=subprocess.STDOUT)  # noqa: S603, S607  our own words
            stack.callback(self._end, process)
            code = self._await(process, planned["readiness"], secrets["client_key"])
            started, asked_for = log.stat().st_size, []
            for fault in faults:
                begun = log.stat().st_size
                answer = self._ask(fault, secrets["client_key"]) if code is None else ""
                # What lives is still writing when its answer is here.
                time.sleep(2 if answer else 0)
                asked_for.append((answer, begun, log.stat().st_size))
            code = process.poll()
        said = log.read_bytes()
        # To each question its own words, and those of the start; where it ended by itself, all are about that.
        own = [said if code is not None else said[:started] + said[begun:end] for _answer, begun, end in asked_for]
        return [
            Heard(_lines(words), code, answer, planned["doctor"], planned["healthy_but"])
            for words, (answer, _begun, _end) in zip(own, asked_for, strict=True)
        ]

    def _words(self, run: list[str], user: str) -> list[str]:
        cache = self.root / "cache"
        cache.mkdir()
        uid, gid = (int(number) for number in user.split(":"))
        shutil.chown(cache, uid, gid)
        run = [word.replace(CACHE_DIR.format(name=self.server["name"]), str(cache)) for word in run]
        # Docker's words come first: the last of two that say the same counts, and the fault's shall.
        at = run.index("--entrypoint")
        return [*run[:at], *_LIMIT, *self.fault.docker, *run[at:], *self.fault.argv]

    def _await(self, process: subprocess.Popen[bytes], readiness: str, key: str | None) -> int | None:
        until = time.monotonic() + PATIENCE
        while process.poll() is None:
            if get_status(f"http://127.0.0.1:{self.port}{readiness}", timeout=25, api_key=key) == 200:
                return None
            if time.monotonic() > until:
                raise TimeoutError(f"{self.fault.engine} was neither ready nor ended after {PATIENCE:.0f} s")
            time.sleep(0.5)
        return process.returncode

    def _ask(self, fault: Fault, key: str | None) -> str:
        if not fault.ask:
            return ""
        options = dict(fault.ask)
        endpoint = Endpoint(
            f"http://127.0.0.1:{self.port}/v1", api_key=fault.client_key or key, timeout=options.pop("timeout", 60)
        )
        probe = run_probe(options.pop("task"), endpoint, {"model": "model", **options})
        return "" if probe["ok"] else str(probe["msg"])

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        docker("rm", "--force", f"llmops-{self.server['name']}", check=False)
        process.wait(60)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def listening(port: int) -> t.Iterator[None]:
    """Be another program that has a port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


# -- what is done to a model's folder


def _weights(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.suffix in (".gguf", ".safetensors"))


def _absent(folder: Path) -> None:
    shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _no_weights(folder: Path) -> None:
    _weights(folder).unlink()


def _pointer(folder: Path) -> None:
    _weights(folder).write_text(_POINTER.format("a" * 64), encoding="ascii")


def _page(folder: Path) -> None:
    _weights(folder).write_text("<!doctype html><html><title>Sign in</title></html>\n", encoding="ascii")


def _truncated(folder: Path) -> None:
    path = _weights(folder)
    with path.open("rb+") as stream:
        stream.truncate(path.stat().st_size * 2 // 3)


def _architecture(folder: Path) -> None:
    path = folder / "config.json"
    if path.is_file():
        _configure(folder, model_type="lab9x", architectures=["Lab9xForCausalLM"])
        return
    path = _weights(folder)
    # As long as its own name, so all else stays in its place.
    data = path.read_bytes()
    path.write_bytes(data.replace(b"qwen2", b"lab9x", 1))


def _quantised(folder: Path) -> None:
    _configure(folder, quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True})


def _no_template(folder: Path) -> None:
    for path in folder.glob("chat_template*"):
        path.unlink()
    if (path := folder / "model.gguf").is_file():
        data = path.read_bytes()
        path.write_bytes(data.replace(b"tokenizer.chat_template", b"tokenizer.char_template", 1))


def _configure(folder: Path, **values: t.Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


DAMAGE: t.Final[Mapping[str, t.Callable[[Path], None]]] = {
    "absent": _absent,
    "empty": _empty,
    "no weights": _no_weights,
    "pointer": _pointer,
    "page": _page,
    "truncated": _truncated,
    "architecture": _architecture,
    "quantised": _quantised,
    "no template": _no_template,
}
