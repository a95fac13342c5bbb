# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run would fetch, and what speaks against it: questions only, nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._model_check import WEIGHT_SUFFIXES
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import kept_bytes
from ansible_collections.llmops.serving.plugins.module_utils._model_select import select
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import (
    ModelError,
    ModelSpec,
    parse_hub_url,
    parse_models,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_store import State, Store, stored_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A preflight answers soon: fewer and shorter retries than a fetch.
_PLAN_RETRY = Retry(attempts=3, base=0.5, cap=10.0)


@dataclass(frozen=True)
class ModelPlan:
    """How one wanted model stands.

    Attributes:
        present: Whether it is complete in the store.
        bytes: Bytes to fetch; 0 when present, None when only the fetch will tell.
        problem: Why it cannot be fetched, None when nothing speaks against it.
        damaged: Files of the store that must come again.
        spec: Its description, None when that is the problem.
        files: Paths of all its files, None when only the fetch will tell.
    """

    present: bool
    bytes: int | None
    problem: str | None
    damaged: tuple[str, ...] = ()
    spec: ModelSpec | None = None
    files: tuple[str, ...] | None = None


def plan_models(  # noqa: PLR0913 - keywords, the module's own parameters
    models: Mapping[str, Any],
    *,
    path: str,
    hub_url: str,
    token: str = "",
    ca_path: str | None = None,
    timeout: float = 15.0,
    verify: bool = False,
    client: HttpClient | None = None,
) -> dict[str, ModelPlan]:
    """Ask store and hub about all wanted models; works without git and writes nothing.

    Args:
        models: Name to options, as in ``serving_models``.
        path: The model store's folder; it need not exist.
        hub_url: The hub.
        token: Secret for the hub, empty for none.
        ca_path: File with the certificates to trust instead of the system's.
        timeout: Seconds for each read from the network.
        verify: Hash the files of models that are there.
        client: How to ask (tests put their own here).

    Returns:
        Name to plan, in the order given.
    """
    specs, problems = parse_models(models)
    store = Store(path)
    plans = {name: ModelPlan(False, None, problem) for name, problem in problems.items()}
    states = {spec.name: store.state(spec, verify) for spec in specs}
    hub: Hub | None = None
    for spec in specs:
        state = states[spec.name]
        if state.complete:
            plans[spec.name] = ModelPlan(True, 0, None, spec=spec, files=tuple(state.good()))
            continue
        try:
            if hub is None:
                client = client or HttpClient(ca_path, timeout, _PLAN_RETRY)
                hub = Hub(parse_hub_url(hub_url, token), token, client)
            size, files = _ask(hub, spec, state, store)
            plans[spec.name] = ModelPlan(False, size, None, state.damaged, spec, files)
        except ModelError as error:
            plans[spec.name] = ModelPlan(False, None, str(error), state.damaged, spec)
    return {str(name): plans[str(name)] for name in models}


def check_models(  # noqa: PLR0913 - keywords, the module's own parameters
    models: Mapping[str, Any],
    *,
    path: str,
    hub_url: str,
    token: str = "",
    ca_path: str | None = None,
    timeout: float = 15.0,
    client: HttpClient | None = None,
) -> list[str]:
    """All problems that the hub, the descriptions and the disk already show, one line each; empty when none.

    Args:
        models: Name to options, as in ``serving_models``.
        path: The model store's folder.
        hub_url: The hub.
        token: Secret for the hub.
        ca_path: File with the certificates to trust instead of the system's.
        timeout: Seconds for each read from the network.
        client: How to ask (tests put their own here).
    """
    plans = plan_models(
        models, path=path, hub_url=hub_url, token=token, ca_path=ca_path, timeout=timeout, client=client
    )
    # One cause for several models (hub down, bad token) is one problem.
    problems = list(dict.fromkeys(plan.problem for plan in plans.values() if plan.problem))
    try:
        check_plan_space(Store(path), list(plans.values()))
    except ModelError as error:
        problems.append(str(error))
    return problems


def check_plan_space(store: Store, plans: Sequence[ModelPlan]) -> None:
    """Refuse a plan whose known sizes do not fit on the disk."""
    needed = sum(plan.bytes or 0 for plan in plans)
    if needed:
        store.check_space(needed, len(plans))


def _ask(hub: Hub, spec: ModelSpec, state: State, store: Store) -> tuple[int | None, tuple[str, ...] | None]:
    """Ask the hub for the bytes to fetch and for all files; None for what it does not tell."""
    good = state.good()
    if spec.kind != "repo":
        names = {path: stored_name(spec, path) for path in spec.files}
        asked = {name: hub.head(spec, path).size for path, name in names.items() if name not in good}
        sizes = {name: size for name, size in asked.items() if size is not None}
        return None if len(sizes) < len(asked) else _to_come(store, spec, sizes), spec.files
    listing = hub.listing(spec)
    if listing is not None:
        selected = select(spec, listing.files).wanted
        wanted = [entry for entry in selected if entry.path not in good]
        # Anybody may list a gated repository: only a file tells whether this host may have them.
        weights = [entry for entry in wanted if entry.path.lower().endswith(WEIGHT_SUFFIXES)]
        if weights:
            hub.head(spec, max(weights, key=lambda entry: entry.size).path)
        files = tuple(entry.path for entry in selected)
        sizes = {entry.path: entry.size for entry in wanted}
        return _to_come(store, spec, sizes) if listing.sized else None, files
    hub.check_revision(spec, hub.remote(spec))
    return None, None


def _to_come(store: Store, spec: ModelSpec, sizes: Mapping[str, int]) -> int:
    """Bytes to fetch: what an interrupted run left is there."""
    return sum(sizes.values()) - kept_bytes(store.work(spec), sizes)
