# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Look at a host, at what it shall serve, and at where that comes from, and list all that speaks against it."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._ca_file import ca_file
from ansible_collections.llmops.serving.plugins.module_utils._drift import extra_servers
from ansible_collections.llmops.serving.plugins.module_utils._fit import server_fits
from ansible_collections.llmops.serving.plugins.module_utils._gpu_health import gpu_choice_problems, gpu_health
from ansible_collections.llmops.serving.plugins.module_utils._gpu_preflight import (
    Choice,
    choose_image,
    chosen_gpus,
    driver_of,
    format_problems,
    reload_notices,
    requirement_problem,
)
from ansible_collections.llmops.serving.plugins.module_utils._hold import held_notice
from ansible_collections.llmops.serving.plugins.module_utils._host import host_facts
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import parse_smi
from ansible_collections.llmops.serving.plugins.module_utils._model_plan import ModelPlan, plan_models
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._neighbours import endangered
from ansible_collections.llmops.serving.plugins.module_utils._preflight import (
    DiskNeed,
    disk_problems,
    file_problems,
    host_problems,
    image_needs,
    port_problems,
)
from ansible_collections.llmops.serving.plugins.module_utils._shape_read import read_shapes

_LEFT = (
    "server {0} is on the host, and not in the inventory: serving_prune: true removes it, or llmops remove --server {0}"
)


class Look:
    """One look at a host; what it finds piles up in `problems` and `notices`."""

    def __init__(self, params: dict[str, t.Any]) -> None:
        """Take the parameters of the module `preflight`."""
        self.params = params
        self.servers: list[dict[str, t.Any]] = params["servers"]
        # Of another machine nothing but its GPUs is known, so nothing else of this one is judged.
        self.elsewhere = bool(params["hardware"])
        self.cuda = params["accelerator"] == "cuda"
        self.problems: list[str] = []
        self.notices: list[str] = list(params["notices"])
        # Whether the driver that is to come decides something.
        self.awaited = False
        # Servers that left the inventory.
        self.extra: list[str] = []
        # Whom to trust at hub and registries, where that is not whom the system trusts.
        self.ca_path: str | None = None
        self.host = host_facts(model_dir=params["model_dir"])
        if self.elsewhere:
            self.host = _with_hardware(self.host, params["hardware"])

    def run(self) -> dict[str, t.Any]:
        """Look at everything.

        Returns:
            `problems`, `notices`, `host`, `variants`, `fits`, `extra` and `awaited`, as the module returns them.
        """
        # Who looks for a tournament holds the servers itself.
        held = "" if self.elsewhere else held_notice([server["name"] for server in self.servers])
        self.notices += [held] if held else []
        if self.params["extra"] and not self.elsewhere:
            self.extra = extra_servers([server["name"] for server in self.servers])
            self.notices += [] if self.params["prune"] else [_LEFT.format(name) for name in self.extra]
        if self.elsewhere:
            self.problems += _hardware_problems(self.host["gpus"], self.cuda)
        else:
            self.problems += host_problems(self.host)
            self.problems += port_problems(self.servers, self.host["ports"], self.extra if self.params["prune"] else ())
        variants = self._gpus() if self.cuda else {}
        with ca_file(self.params["ca"]) as self.ca_path:
            plans = self._models()
            self._images(plans)
            fits = self._memory(plans)
        return {
            # A hub that does not answer is the same problem for each of its models.
            "problems": list(dict.fromkeys(self.problems)),
            "notices": list(dict.fromkeys(self.notices)),
            "host": self.host,
            "variants": variants,
            "fits": fits,
            "extra": self.extra,
            "awaited": self.awaited,
        }

    def _gpus(self) -> dict[str, str]:
        """Judge GPUs and driver, and choose the images that suit them; by server those that are not the newest."""
        follows = self.params["driver_follows"]
        self.awaited = follows and not self.host["nvidia"]["smi"]["works"]
        ill = [] if self.elsewhere else list(gpu_health(self.host, driver_follows=follows))
        self.problems += ill
        self.notices += [] if self.elsewhere else reload_notices(endangered())
        if not any(gpu["uuid"] for gpu in self.host["gpus"]):
            return {}  # none answers, so what they are and can do is not known
        variants = {}
        for number, server in enumerate(self.servers):
            wanted = server["demand"].get("gpus")
            where = "serving_servers[{!r}].gpus: ".format(server["name"])
            # How another machine's GPUs are divided its file does not tell.
            parts = self.elsewhere and any(":" in str(name) or str(name).startswith("MIG") for name in wanted or [])
            self.problems += [where + line for line in gpu_choice_problems([] if parts else wanted or [], self.host)]
            choice = self._choose(server)
            self.servers[number] = dict(server, image=choice.image or server["image"])
            if choice.problem and self.params["driver_changes"]:
                self.awaited = True
            elif choice.problem:
                self.problems.append(choice.problem)
            if choice.notice:
                variants[server["name"]] = choice.variant
                self.notices.append(choice.notice)
        return variants

    def _choose(self, server: dict[str, t.Any]) -> Choice:
        gpus = chosen_gpus(server["demand"].get("gpus"), self.host)
        return choose_image(server["name"], server["alternatives"], gpus, driver_of(self.host))

    def _models(self) -> dict[str, ModelPlan]:
        params = self.params
        plans: dict[str, ModelPlan] = {}
        try:
            plans = plan_models(
                params["models"],
                path=params["model_dir"],
                hub_url=params["hub_url"],
                token=params["token"] or "",
                ca_path=self.ca_path,
            )
        except ModelError as exc:
            self.problems.append(str(exc))
        self.problems += [plan.problem for plan in plans.values() if plan.problem]
        self.problems += file_problems(params["needs"], {name: plan.files for name, plan in plans.items()})
        return plans

    def _images(self, plans: dict[str, ModelPlan]) -> None:
        if self.elsewhere:
            return
        lines, needs, requires = image_needs(
            self.servers, self.host["docker"]["root_dir"], for_gpus=self.cuda, ca_path=self.ca_path
        )
        self.problems += lines
        for server in self.servers if self.cuda else ():
            # Where the engine's definition knows better than the image itself, the choice was made by it.
            if not any(image["driver"] for image in server["alternatives"]):
                told = requires.get(server["image"], "")
                gpus = chosen_gpus(server["demand"].get("gpus"), self.host)
                line = requirement_problem(server["name"], server["image"], told, gpus, driver_of(self.host))
                if line and self.params["driver_changes"]:
                    self.awaited = True
                else:
                    self.problems += [line] if line else []
        needs += [DiskNeed(self.params["model_dir"], name, plan.bytes) for name, plan in plans.items() if plan.bytes]
        self.problems += disk_problems(needs, self.host["disk"])

    def _memory(self, plans: dict[str, ModelPlan]) -> list[dict[str, t.Any]]:
        if self.cuda and not any(gpu["uuid"] for gpu in self.host["gpus"]):
            return []  # no GPU that answers: said above, or its driver is to come
        params = self.params
        shapes = read_shapes(
            plans,
            path=params["model_dir"],
            hub_url=params["hub_url"],
            token=params["token"] or "",
            ca_path=self.ca_path,
        )
        demands = [server["demand"] for server in self.servers if server["demand"]]
        fits = server_fits(demands, shapes, self.host)
        for demand, fit in zip(demands, fits):  # noqa: B905  strict came with Python 3.10
            if fit["problem"]:
                (self.notices if demand["fit"] == "warn" else self.problems).append(fit["problem"])
            gpus = chosen_gpus(demand["gpus"], self.host) if self.cuda else []
            told = [shapes.get(name) for name in demand["models"]]
            self.problems += format_problems(
                demand, [shape.quantization for shape in told if shape and shape.quantization], gpus
            )
        return fits


def _hardware_problems(gpus: list[dict[str, t.Any]], cuda: bool) -> list[str]:
    """Find what keeps a file of another machine's answer from being judged by."""
    if not cuda:
        return ["serving_hardware: is about GPUs, and serving_accelerator is cpu: set that to cuda, or remove it"]
    told = [gpu for gpu in gpus if gpu["uuid"] and gpu["memory_total"] and gpu["memory_free"] is not None]
    if gpus and len(told) == len(gpus):
        return []
    problem = (
        "serving_hardware: the file holds no GPU with its memory: write it by the command in docs/gpu.md, with "
        "--format=csv,noheader,nounits"
    )
    return [problem]


def _with_hardware(host: dict[str, t.Any], answer: str) -> dict[str, t.Any]:
    """Put the GPUs of another machine in the place of a host's own.

    Args:
        host: The facts of `host_facts`.
        answer: What nvidia-smi said on the other machine, to the question of `host_gpu.SMI_COMMAND`.

    Returns:
        The facts, with nothing of the host's own GPUs and servers.
    """
    gpus = [dict(gpu, driver="nvidia", mig_devices=[], processes=[], lost=False) for gpu in parse_smi(answer)]
    return dict(host, gpus=gpus, held={})
