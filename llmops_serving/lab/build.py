# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds images: a script runs in a container, the container becomes an image.

`docker build` of older daemons cannot mount anything, and mirrors, certificates and credentials of the build
machine must not be copied into an image. So the script runs in a container that has them mounted under /run (a tmpfs:
not even the mount points stay), and the result is committed under a tag that is a hash of all inputs.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import Mount

from llmops_serving.lab.errors import LabError
from llmops_serving.lab.machine import require_commands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from docker import DockerClient
    from docker.models.images import Image

    from llmops_serving.lab.machine import Machine
    from llmops_serving.lab.progress import Reporter, Stage
    from llmops_serving.lab.state import Paths

ASSETS = Path(__file__).parent / "assets"
REPOSITORY = "llmops-lab"
#: Raise it when the way of building changes what comes out.
BUILD_VERSION = 2
#: Every container, image, network and volume of the lab carries it: `down` removes what has it.
LABEL = "llmops.lab"
#: Where a build container sees the scripts and the machine's settings.
BUILD_ROOT = "/run/llmops-build"
#: Where it sees directories of the machine, next to and not inside the read-only one above.
MACHINE_ROOT = "/run/llmops-machine"
#: Lines of a build script that begin with this are shown as progress.
MARK = "::: "
REGISTRY_PROBE_S = 4
#: Free disk in MiB a build needs beyond its result, for downloads and the commit's copy.
SLACK_MIB = 500
#: What is pushed takes room once more, compressed to a third.
REGISTRY_SHARE = 3


@dataclass(frozen=True)
class Recipe:
    """How an image is made. All fields but `about` and `size_mib` are part of its identity."""

    name: str
    #: a script among the assets, run by /bin/sh -eu
    script: str
    #: another recipe; None makes the image an operating system
    base: Recipe | None
    #: assets that the script finds in $FILES
    files: tuple[str, ...] = ()
    #: environment of the script only
    arguments: Mapping[str, str] = field(default_factory=dict)
    #: image configuration: lines of a Dockerfile such as ENV, ENTRYPOINT, WORKDIR
    config: tuple[str, ...] = ()
    #: what takes long, for people
    about: str = ""
    #: size of what this recipe adds, for the check of free disk
    size_mib: int = 300

    @property
    def digest(self) -> str:
        """Hash of everything that decides what the image contains."""
        parts = {
            "version": BUILD_VERSION,
            "base": self.base.digest if self.base else None,
            "script": _sha256((ASSETS / self.script).read_bytes()),
            "files": {name: _sha256((ASSETS / name).read_bytes()) for name in self.files},
            "arguments": dict(self.arguments),
            "config": list(self.config),
        }
        return _sha256(json.dumps(parts, sort_keys=True).encode())

    @property
    def repository(self) -> str:
        """Name of the image on the daemon."""
        return f"{REPOSITORY}/{self.name}"

    @property
    def tag(self) -> str:
        """Name and tag of the image on the daemon."""
        return f"{self.repository}:{self.digest[:12]}"


class Builder:
    """Makes the images of recipes that the daemon does not have yet."""

    def __init__(self, client: DockerClient, machine: Machine, paths: Paths, reporter: Reporter, network: str) -> None:
        """Build on `client`'s daemon; build containers are attached to `network`."""
        self._client = client
        self._machine = machine
        self._paths = paths
        self._reporter = reporter
        self._network = network

    def find(self, recipe: Recipe) -> Image | None:
        """Give the image of a recipe if the daemon has it."""
        try:
            return self._client.images.get(recipe.tag)
        except ImageNotFound:
            return None

    def check_disk(self, recipes: Sequence[Recipe], extra_mib: int) -> None:
        """Refuse to begin what would fill the disk.

        Args:
            recipes: what is needed, with all that it is built on.
            extra_mib: room that new hosts will take.

        Raises:
            LabError: too little is free where the daemon keeps its data.
        """
        missing = [recipe for recipe in recipes if self.find(recipe) is None]
        if not missing and not extra_mib:
            return
        place = Path(str(self._client.info().get("DockerRootDir") or "/var/lib/docker"))
        while not place.exists():
            place = place.parent
        free_mib = shutil.disk_usage(place).free // 2**20
        images_mib = sum(recipe.size_mib for recipe in missing)
        needed_mib = images_mib + images_mib // REGISTRY_SHARE + SLACK_MIB + extra_mib
        if free_mib < needed_mib:
            what = f"images {', '.join(recipe.name for recipe in missing)} and " if missing else ""
            raise LabError(
                f"{place} has {free_mib} MiB free, the lab needs about {needed_mib} MiB "
                f"({what}room to run them): "
                f"free {needed_mib - free_mib} MiB"
            )

    def ensure(self, recipe: Recipe) -> Image:
        """Give the image of a recipe, building it if need be. Its base must exist already.

        Raises:
            LabError: the build failed; the message ends with the last lines of its log.
        """
        if image := self.find(recipe):
            return image
        with self._reporter.stage(f"image {recipe.name}", f"building {recipe.about}".strip()) as stage:
            if recipe.base is None:
                self._import_system(recipe, stage)
            else:
                self._run_and_commit(recipe, recipe.base.tag, stage)
        image = self.find(recipe)
        if image is None:
            raise LabError(f"the daemon lost the image {recipe.tag} right after it was built: is its disk full?")
        return image

    # -- operating systems ---------------------------------------------------------------------------------------

    def _import_system(self, recipe: Recipe, stage: Stage) -> None:
        suite = recipe.arguments["SUITE"]
        if registry_answers():
            name = f"debian:{suite}-slim"
            stage.note(f"pulling {name}")
            had_it = bool(self._client.images.list(name=name))
            with contextlib.suppress(APIError):
                self._client.images.pull(name).tag(recipe.repository, recipe.digest[:12])
                if not had_it:
                    self._client.images.remove(name)
                return
        require_commands({"mmdebstrap": "mmdebstrap"})
        with tempfile.TemporaryDirectory(dir=self._paths.build) as scratch:
            archive = Path(scratch) / "system.tar"
            self._bootstrap(suite, archive, Path(scratch))
            stage.note("importing the system")
            self._client.api.import_image_from_file(
                str(archive),
                repository=recipe.repository,
                tag=recipe.digest[:12],
                changes=[f"LABEL {LABEL}=image", 'CMD ["/bin/sh"]'],
            )

    def _bootstrap(self, suite: str, archive: Path, scratch: Path) -> None:
        if not self._machine.apt.mirror:
            raise LabError(
                f"no registry gives the image debian:{suite}-slim, and this machine names no mirror of Debian to build "
                "it from: let Docker reach a registry, or name a mirror in /etc/apt/sources.list.d"
            )
        settings = scratch / "apt.conf"
        settings.write_text(self._machine.apt.settings, encoding="utf-8")
        # What belongs to this machine (its mirror, its apt settings) is taken out of the result by the last hook.
        clean = (
            'rm -rf "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list.d/* "$1"/var/lib/apt/lists/*'
            ' "$1"/var/cache/apt/*.bin "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/etc/apt/sources.list'
        )
        command = [
            "mmdebstrap",
            "--variant=minbase",
            "--format=tar",
            f"--aptopt={settings}",
            "--dpkgopt=force-unsafe-io",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            f"--customize-hook={clean}",
            suite,
            str(archive),
            "-",
        ]
        environment = {**os.environ, **self._machine.proxies, "TMPDIR": str(scratch)}
        log = self._paths.logs / f"base-{suite}.log"
        done = subprocess.run(  # noqa: S603  # fixed command, suite from our own table
            command,
            input=self._machine.apt.sources(suite),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        log.write_text(done.stdout, encoding="utf-8")
        if done.returncode != 0:
            raise LabError(f"building a Debian {suite} system failed; {log} ends with:\n{_tail(done.stdout)}")

    # -- everything else -----------------------------------------------------------------------------------------

    def _run_and_commit(self, recipe: Recipe, base: str, stage: Stage) -> None:
        scratch = Path(tempfile.mkdtemp(dir=self._paths.build))
        container = None
        try:
            self._write_inputs(recipe, scratch)
            # As mounts, not as volumes: docker-py writes those into the configuration, and a commit into the image.
            mounts = [Mount(BUILD_ROOT, str(scratch), type="bind", read_only=True)]
            mounts += [
                Mount(to, str(path), type="bind", read_only=True) for path, to in self._machine.pip.mounts.items()
            ]
            container = self._client.containers.create(
                base,
                ["/bin/sh", "-eu", f"{BUILD_ROOT}/build.sh"],
                name=f"llmops-lab-build-{recipe.name}-{uuid.uuid4().hex[:6]}",
                entrypoint=[],
                user="0:0",
                working_dir="/",
                network=self._network,
                tmpfs={"/run": "exec,mode=755"},
                mounts=mounts,
                labels={LABEL: "build"},
            )
            container.start()
            log = self._paths.logs / f"{recipe.name}.log"
            with log.open("wb") as sink:
                _follow(container.logs(stream=True, follow=True), sink, stage)
            status = int(container.wait()["StatusCode"])
            if status != 0:
                text = log.read_text(encoding="utf-8", errors="replace")
                raise LabError(
                    f"building the image {recipe.name} failed (exit {status}); {log} ends with:\n{_tail(text)}"
                )
            stage.note("storing the image")
            self._client.api.commit(
                str(container.id),
                repository=recipe.repository,
                tag=recipe.digest[:12],
                changes=list(self._configuration(recipe)),
            )
        finally:
            if container is not None:
                with contextlib.suppress(NotFound):
                    container.remove(force=True, v=True)
            shutil.rmtree(scratch, ignore_errors=True)

    def _configuration(self, recipe: Recipe) -> Sequence[str]:
        # A commit takes over the build container's command, so an empty one must be said.
        given = {line.split()[0] for line in recipe.config}
        defaults = [line for line in ("ENTRYPOINT []", 'CMD ["/bin/sh"]') if line.split()[0] not in given]
        if "ENTRYPOINT" in given and "CMD" not in given:
            defaults = ["CMD []"]
        return [*defaults, *recipe.config, f"LABEL {LABEL}=image"]

    def _write_inputs(self, recipe: Recipe, scratch: Path) -> None:
        suite = _suite(recipe)
        (scratch / "files").mkdir()
        for name in recipe.files:
            shutil.copy(ASSETS / name, scratch / "files" / Path(name).name)
        shutil.copy(ASSETS / recipe.script, scratch / "recipe.sh")
        sources = self._machine.apt.sources(suite)
        (scratch / "sources.list").write_text(sources, encoding="utf-8")
        # Without mirrors of this machine's own, the base image's are used.
        here = f'Dir::Etc::SourceList "{BUILD_ROOT}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
        (scratch / "apt.conf").write_text(
            self._machine.apt.settings
            + (here if sources else "")
            + 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n',
            encoding="utf-8",
        )
        pip_conf = self._machine.pip.config
        environment = {
            "APT_CONFIG": f"{BUILD_ROOT}/apt.conf",
            "PIP_CONFIG_FILE": f"{BUILD_ROOT}/pip.conf",
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
            "FILES": f"{BUILD_ROOT}/files",
            **self._machine.proxies,
            **recipe.arguments,
        }
        if self._machine.ca_bundle is not None:
            shutil.copy(self._machine.ca_bundle, scratch / "ca.pem")
            pip_conf += f"cert = {BUILD_ROOT}/ca.pem\n"
            environment["SSL_CERT_FILE"] = f"{BUILD_ROOT}/ca.pem"
        (scratch / "pip.conf").write_text(pip_conf, encoding="utf-8")
        lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
        lines += [
            f". {BUILD_ROOT}/recipe.sh",
            # Whatever the script used, no lists, caches or logs stay in the layer.
            (
                "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/*.log"
                " /var/log/apt /root/.cache"
            ),
        ]
        (scratch / "build.sh").write_text("\n".join(lines) + "\n", encoding="utf-8")


def registry_answers() -> bool:
    """Tell whether Docker Hub can be reached from here, within seconds."""
    try:
        with urllib.request.urlopen("https://registry-1.docker.io/v2/", timeout=REGISTRY_PROBE_S):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # noqa: PLR2004  # what a registry says to a caller without a token
    except OSError:
        return False


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """Pack files into a tar for `put_archive`.

    Args:
        files: path from / without its leading slash -> content and mode; directories arise by themselves.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (content, mode) in sorted(files.items()):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            info.mode = mode
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _follow(stream: Any, sink: io.BufferedWriter, stage: Stage) -> None:
    rest = b""
    for chunk in stream:
        sink.write(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(MARK.encode()):
                stage.note(line[len(MARK) :].decode("utf-8", "replace").strip())


def _suite(recipe: Recipe) -> str:
    while recipe.base is not None:
        recipe = recipe.base
    return recipe.arguments["SUITE"]


def _tail(text: str, lines: int = 12) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "\n".join(plain.strip().splitlines()[-lines:])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
