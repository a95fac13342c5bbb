# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model hub: git with LFS and `resolve` paths, as huggingface.co has them, under hub.lab and cdn.lab.

The repositories are written here from the lab's models; the container only serves them. `lab/faults` and its relatives
are repositories that go wrong in the ways hubs and proxies do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mimetypes
import os
import shutil
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops_serving.lab import gitrepo, images, pki, services
from llmops_serving.lab.build import ASSETS
from llmops_serving.lab.errors import LabError
from llmops_serving.lab.state import FileFacts, RepoFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

    from llmops_serving.lab.progress import Reporter
    from llmops_serving.lab.state import Paths

NAME = "llmops-lab-hub"
HOST = "hub.lab"
CDN = "cdn.lab"
#: What Hugging Face's own .gitattributes sends to LFS, as far as the lab has such files.
LFS_SUFFIXES = (".safetensors", ".gguf", ".bin", ".pt", ".onnx")
LFS_FROM_BYTES = 10 * 2**20
START_TIMEOUT_S = 30
#: Raise it when the layout of the hub's directory changes.
LAYOUT = 1


@dataclass(frozen=True)
class Fault:
    """How a file's delivery differs from the truth."""

    #: sha256 that the hub announces instead of the true one
    announced_oid: str | None = None
    #: size in bytes that the hub announces instead of the true one
    announced_size: int | None = None
    #: the connection breaks before the announced length is sent
    short: bool = False
    #: git LFS meets the fault as well; without it only the `resolve` path does
    in_git: bool = False


@dataclass(frozen=True)
class Source:
    """A file to publish."""

    content: Path | bytes
    fault: Fault = Fault()
    #: never stored with LFS, whatever its name: a pointer or a page in a model's place
    plain: bool = False

    def facts(self) -> FileFacts:
        """Hash the file."""
        if isinstance(self.content, bytes):
            return FileFacts(hashlib.sha256(self.content).hexdigest(), len(self.content))
        with self.content.open("rb") as handle:
            return FileFacts(hashlib.file_digest(handle, "sha256").hexdigest(), self.content.stat().st_size)


@dataclass(frozen=True)
class Repo:
    """A repository to publish."""

    files: Mapping[str, Source]
    gated: bool = False
    #: LFS objects that the hub does not have although the pointers are there
    lost: frozenset[str] = field(default_factory=frozenset)
    #: entries of the git tree that are no files, by path
    others: Mapping[str, gitrepo.Symlink | gitrepo.Submodule] = field(default_factory=dict)


def directory(root: Path, only: tuple[str, ...] = ()) -> dict[str, Source]:
    """Take all files below a directory, or those named."""
    paths = [root / name for name in only] if only else sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): Source(path) for path in paths}


def catalogue(models: Path) -> dict[str, Repo]:
    """Say which repositories the lab's hub has.

    Args:
        models: directory with one subdirectory for each model of `models.NAMES`.
    """
    chat = (models / "tiny-chat-gguf" / "tiny-chat.gguf").read_bytes()
    chat_oid = hashlib.sha256(chat).hexdigest()
    flipped = bytearray(chat)
    flipped[len(chat) // 2] ^= 0xFF
    page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>\n"
    readme = Source(b"---\nlicense: gpl-3.0\n---\nMade by the lab of llmops.serving.\n")
    other_oid = hashlib.sha256(b"another file").hexdigest()
    card = {"README.md": readme}
    return {
        "lab/tiny-chat-gguf": Repo({**card, **directory(models / "tiny-chat-gguf")}),
        "lab/broken-chat-gguf": Repo({**card, **directory(models / "broken-chat-gguf")}),
        "lab/tiny-chat": Repo({**card, **directory(models / "tiny-chat")}),
        "lab/tiny-chat-head16": Repo({**card, **directory(models / "tiny-chat-head16")}),
        "lab/minilm-gguf": Repo({**card, **directory(models / "minilm-gguf")}),
        "lab/tiny-rerank": Repo({**card, **directory(models / "tiny-rerank")}),
        "lab/tiny-classify": Repo({**card, **directory(models / "tiny-classify")}),
        "sentence-transformers/all-MiniLM-L6-v2": Repo(directory(models / "minilm")),
        "lab/gated": Repo({**card, "tiny-chat.gguf": Source(chat)}, gated=True),
        "lab/pickle": Repo({**card, **directory(models / "pickle")}),
        "lab/faults": Repo(
            {
                **card,
                "good.gguf": Source(chat),
                "pointer.gguf": Source(gitrepo.pointer(chat_oid, len(chat)), plain=True),
                "page.gguf": Source(page, plain=True),
                # The hub knows the size, what comes is shorter and complete by its own Content-Length.
                "truncated.gguf": Source(
                    chat[: len(chat) // 2], Fault(announced_size=len(chat), announced_oid=chat_oid)
                ),
                # The connection breaks.
                "short.gguf": Source(chat[: len(chat) // 3], Fault(chat_oid, len(chat) // 3 + 4096, short=True)),
                # Of the right size, with other bytes than announced.
                "corrupt.gguf": Source(bytes(flipped), Fault(announced_oid=chat_oid)),
                "wrong-etag.gguf": Source(chat + b"\0", Fault(announced_oid=other_oid)),
            }
        ),
        # The same for git: an object that is lost, and one that is not what its pointer says.
        "lab/lfs-missing": Repo({**card, **directory(models / "tiny-rerank")}, lost=frozenset({"model.safetensors"})),
        "lab/lfs-corrupt": Repo(
            {
                **card,
                **directory(models / "tiny-rerank"),
                "model.safetensors": _corrupted(models / "tiny-rerank" / "model.safetensors"),
            }
        ),
    }


def _corrupted(path: Path) -> Source:
    content = bytearray(path.read_bytes())
    true_oid = hashlib.sha256(content).hexdigest()
    content[-1] ^= 0xFF
    return Source(bytes(content), Fault(announced_oid=true_oid, in_git=True))


def publish(target: Path, repos: Mapping[str, Repo]) -> dict[str, RepoFacts]:
    """Write the hub's directory: git repositories, LFS objects, plain files and the manifest.

    Returns:
        For each repository its revision and the true facts of its files.
    """
    target.mkdir(parents=True, exist_ok=True)
    manifest: dict[str, Any] = {"cdn": CDN, "repos": {}}
    facts: dict[str, RepoFacts] = {}
    for name, repo in repos.items():
        entries: dict[str, Any] = {}
        in_git: dict[str, bytes] = {}
        true: dict[str, FileFacts] = {}
        for file, source in {**repo.files, ".gitattributes": Source(_attributes(repo.files))}.items():
            known = true[file] = source.facts()
            if _is_lfs(file, source, known):
                entries[file], in_git[file] = _store_object(target, name, file, source, known)
                if file in repo.lost:
                    (target / "cdn" / name / known.sha256).unlink()
            else:
                entries[file], in_git[file] = _store_plain(target, name, file, source)
        tree = {**in_git, **repo.others}
        revision = gitrepo.write_repository(target / "git" / f"{name}.git", tree, f"{name} of the lab")
        manifest["repos"][name] = {"revision": revision, "gated": repo.gated, "files": entries}
        facts[name] = RepoFacts(revision, true)
    # Last and in one step: the running hub reads it again when it changes.
    temporary = target / "manifest.new"
    temporary.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(target / "manifest.json")
    return facts


def _attributes(files: Mapping[str, Source]) -> bytes:
    suffixes = {f"*{suffix}" for suffix in LFS_SUFFIXES}
    large = {name for name, source in files.items() if source.facts().size >= LFS_FROM_BYTES}
    patterns = sorted(suffixes | {name for name in large if not name.endswith(LFS_SUFFIXES)})
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns).encode("ascii")


def _is_lfs(file: str, source: Source, facts: FileFacts) -> bool:
    return not source.plain and (file.endswith(LFS_SUFFIXES) or facts.size >= LFS_FROM_BYTES)


def _store_object(target: Path, repo: str, file: str, source: Source, facts: FileFacts) -> tuple[dict[str, Any], bytes]:
    fault = source.fault
    oid = fault.announced_oid or facts.sha256
    size = fault.announced_size or facts.size
    entry: dict[str, Any] = {"lfs": True, "oid": oid, "size": size}
    place = f"{repo}/{oid}"
    if fault != Fault() and not fault.in_git:
        # A place of its own: the object of that id may be in the same repository and be sound.
        place = f"_faults/{repo}/{file}"
        entry["object"] = f"/_short/{place}" if fault.short else f"/{place}"
    path = target / "cdn" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    _place(source.content, path)
    return entry, gitrepo.pointer(oid, size)


def _store_plain(target: Path, repo: str, file: str, source: Source) -> tuple[dict[str, Any], bytes]:
    content = source.content if isinstance(source.content, bytes) else source.content.read_bytes()
    blob = gitrepo.blob_id(content)
    path = target / "raw" / repo / blob
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    kind = "text/html; charset=utf-8" if content.startswith(b"<!DOCTYPE html") else mimetypes.guess_type(file)[0]
    return {"lfs": False, "blob": blob, "size": len(content), "type": kind or "text/plain; charset=utf-8"}, content


def _place(content: Path | bytes, path: Path) -> None:
    path.unlink(missing_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    try:
        os.link(content, path)
    except OSError:
        shutil.copyfile(content, path)


def nginx_configuration(hub: str = HOST, cdn: str = CDN) -> str:
    """Give nginx's configuration."""
    text = (ASSETS / "nginx.conf").read_text(encoding="utf-8")
    return text.replace("@HUB@", hub).replace("@CDN@", cdn)


def describe(paths: Paths) -> services.Service:
    """Describe the hub's container."""
    certificate, key = pki.ensure_certificate(paths, "hub", [HOST, CDN])
    return services.Service(
        name=NAME,
        role="hub",
        image=images.HUB.tag,
        root=str(paths.root),
        aliases=(HOST, CDN),
        files={
            "etc/hub/tls.crt": (certificate.read_bytes(), 0o644),
            "etc/hub/tls.key": (key.read_bytes(), 0o600),
            "etc/hub/token": (paths.hub_token.read_bytes(), 0o600),
            "etc/hub/nginx.conf": (nginx_configuration().encode(), 0o644),
        },
        binds={
            str(paths.hub): ("/hub", "ro"),
            str(paths.hub_access_log.parent): ("/var/log/hub", "rw"),
        },
        options={"init": True},
    )


def ensure(client: DockerClient, paths: Paths, reporter: Reporter) -> None:
    """Make the hub run and answer."""
    paths.hub.mkdir(parents=True, exist_ok=True)
    paths.hub_access_log.parent.mkdir(parents=True, exist_ok=True)
    services.ensure(client, describe(paths), lambda message: reporter.say("hub", message))
    container = services.find(client, NAME)
    deadline = time.monotonic() + START_TIMEOUT_S
    while container is not None and time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            if container.exec_run(["test", "-e", "/run/hub/ready"]).exit_code == 0:
                return
        time.sleep(0.2)
    log = services.log_tail(container) if container else ""
    raise LabError(f"the hub does not come up; its log:\n{log}")


def published(paths: Paths, key: str) -> bool:
    """Tell whether the hub's directory was written from the same models."""
    stamp = paths.hub / "stamp"
    return stamp.exists() and stamp.read_text(encoding="ascii") == _stamp(key)


def mark_published(paths: Paths, key: str) -> None:
    """Remember from which models the hub's directory was written."""
    (paths.hub / "stamp").write_text(_stamp(key), encoding="ascii")


def _stamp(key: str) -> str:
    own = hashlib.sha256(Path(__file__).read_bytes() + Path(gitrepo.__file__).read_bytes()).hexdigest()
    return f"{LAYOUT} {key} {own}\n"


def client_context(paths: Paths) -> ssl.SSLContext:
    """Give a TLS context that trusts the lab's authority."""
    return ssl.create_default_context(cafile=str(paths.ca_cert))
