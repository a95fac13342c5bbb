# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Judge one server against the memory that those before it leave."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.llmops.serving.plugins.module_utils._fit_memory import (
    GIB,
    SMALLEST_CONTEXT,
    cache_bytes,
    number,
    option,
    sizes,
)
from ansible_collections.llmops.serving.plugins.module_utils._gpu_preflight import chosen_gpus

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._fit_places import Place, Places
    from ansible_collections.llmops.serving.plugins.module_utils._shape import Shape

NOT_HERE = "serve a smaller model, or this one on a host with more memory"
# CUDA sees less of a GPU than nvidia-smi's total, up to three hundredths (T4: 14.56 of 15 GiB), and a share is of what
# it sees.
_UNSEEN = 0.03


class Part(t.NamedTuple):
    """A part of a sum: what it is, bytes, and how they come about."""

    what: str
    bytes: int
    how: str = ""


@dataclass
class Outcome:
    """What the sum for one server says."""

    verdict: str
    where: str = ""
    parts: list[Part] = field(default_factory=list)
    need: int = 0
    have: int = 0
    requests: int | None = None
    line: str = ""
    #: The variable at fault, and what is wrong where the line does not say it.
    word: str = ""
    cause: str = ""
    #: Bytes by key of the places.
    takes: dict[str, int] = field(default_factory=dict)


def known_shapes(demand: t.Mapping[str, t.Any], shapes: t.Mapping[str, Shape | None]) -> list[Shape] | None:
    """Give the shapes of a server's models, None unless all are known."""
    found = [shapes.get(name) for name in demand["models"]]
    told = [shape for shape in found if shape is not None]
    return told if told and len(told) == len(found) else None


def gib(size: float) -> str:
    """Write bytes in GiB, two digits."""
    return f"{size / GIB:.2f}"


def judge(demand: t.Mapping[str, t.Any], shapes: list[Shape] | None, places: Places) -> Outcome:
    """Judge one server.

    Args:
        demand: What it asks.
        shapes: The shapes of its models, None if not all are known.
        places: The memory, with what the servers before it took.

    Returns:
        The sum and what follows from it.
    """
    memory = demand["memory"]
    chosen = places.chosen(demand)
    if not memory or not chosen:
        return Outcome("unknown", line="nothing is known of what it takes")
    if demand["accelerator"] != "cpu" and _has_mig(demand, places):
        return Outcome("unknown", line="the memory of a MIG device is not known")
    split = demand["tensor_parallel"] if memory.get("gpus") == "split" and demand["accelerator"] != "cpu" else 1
    fault = _wrong(demand, shapes, split, chosen)
    if fault:
        return fault
    used = chosen if memory.get("gpus") in ("pool", "each") else chosen[:split]
    view = _View(demand, used)
    unclear = _unclear(demand, shapes)
    shared = _Share(view, split) if memory["takes"] == "share" else None
    if shared and not shared.is_free:
        return shared.not_free()
    if unclear or not shapes:
        return (
            shared.told(unclear)
            if shared
            else Outcome("unknown", view.where, have=view.left, line=f"{unclear}; {view.of()}")
        )
    known = _Sum(view, shapes, split)
    return known.share(shared) if shared else known.exact()


def _unclear(demand: t.Mapping[str, t.Any], shapes: list[Shape] | None) -> str:
    """Say why no sum can be made, "" where one can."""
    if not shapes:
        return "the headers of its model could not be read"
    memory = demand["memory"]
    # However it is set: what turns it off may be its own opposite.
    names = [name for name in memory.get("unknown_with", []) if name in demand["options"]]
    names += [name for name, value in memory.get("unknown_unless", {}).items() if option(demand, name) != value]
    return f"{names[0]} in options changes what lies where" if names else ""


def _has_mig(demand: t.Mapping[str, t.Any], places: Places) -> bool:
    """Tell whether a server is given parts of GPUs."""
    named = any(":" in str(name) or str(name).startswith("MIG") for name in demand["gpus"] or [])
    return named or any(gpu.get("mig") for gpu in chosen_gpus(demand["gpus"], {"gpus": places.gpus}))


def divisors(heads: int) -> list[int]:
    """List the numbers of GPUs over which attention heads can be split evenly."""
    return [number for number in range(1, heads + 1) if heads % number == 0]


def _wrong(
    demand: t.Mapping[str, t.Any], shapes: list[Shape] | None, split: int, chosen: list[Place]
) -> Outcome | None:
    """Find what cannot work whatever the memory is."""
    memory = demand["memory"]
    if split > len(chosen):
        named = "in gpus of the server" if demand["gpus"] and list(demand["gpus"]) != ["all"] else "of the host"
        what = f"the {len(chosen)} GPUs" if len(chosen) > 1 else "the one GPU"
        return Outcome(
            "does not fit",
            word="tensor_parallel_size",
            cause=f"{split} is more than {what} {named}",
            line="too few GPUs",
        )
    shape = shapes[0] if shapes else None
    if shape and split > 1 and shape.heads and shape.heads % split:
        ways = ", ".join(str(way) for way in divisors(shape.heads) if way <= max(split, len(chosen)))
        return Outcome(
            "does not fit",
            word="tensor_parallel_size",
            cause=f"{split} does not divide the {shape.heads} attention heads of the model ({ways} do)",
            line="its attention heads cannot be split so",
        )
    asked, allowed = demand["context_length"], shape.max_context if shape else None
    lifted = any(option(demand, name) is not None for name in memory.get("context_options", []))
    # Engines take 1 and true for yes; whoever says no at length reads their message.
    lifted = lifted or bool((demand.get("environment") or {}).get(memory.get("context_env")))
    if asked and allowed and asked > allowed and memory.get("context_env") and not lifted:
        return Outcome(
            "does not fit",
            word="context_length",
            cause=f"{asked} is more than the {allowed} tokens that the model was made for",
            line="its context is longer than the model's",
        )
    return None


class _View:
    """The memory that a server may use, in words and numbers."""

    def __init__(self, demand: t.Mapping[str, t.Any], used: list[Place]) -> None:
        self.demand, self.memory, self.used = demand, demand["memory"], used
        self.pooled = self.memory.get("gpus") == "pool"
        # Of GPUs that share a model evenly the fullest one decides.
        self.tightest = min(used, key=lambda place: place.left)
        # GPUs without memory of their own stand for the same RAM.
        distinct = list({place.key: place for place in used}.values())
        self.left = sum(place.left for place in distinct) if self.pooled else self.tightest.left

    @property
    def where(self) -> str:
        """Name it."""
        if len(self.used) == 1:
            return self.tightest.label
        labels = ", ".join(place.label.partition(" (")[0].replace("GPU ", "") for place in self.used)
        return f"GPUs {labels}" + (" together" if self.pooled else "")

    def of(self) -> str:
        """Say of how much memory."""
        each = "each of " if len(self.used) > 1 and not self.pooled else ""
        others = ", ".join(dict.fromkeys(name for place in self.used for name in place.taken))
        beside = f" beside {others}" if others else ""
        free = "left" if others else "free"
        at = "in RAM" if self.where == "RAM" else f"on {each}{self.where}"
        return f"{gib(max(0, self.left))} GiB {free} {at}{beside}"

    def line(self, parts: list[Part], of: str, short: int = 0) -> str:
        """Write a sum down, and who holds what is missing."""
        if short <= 0:
            return f"{_written(parts)} = {_total(parts)} GiB of {of}"
        holders = [holder for place in self.used for holder in place.strangers]
        missing = f", where {_holders(holders)}" if sum(size for _name, size in holders) >= short else ""
        return f"{_written(parts)} = {_total(parts)} GiB, and there are {of}{missing}"

    def refused(self, parts: list[Part], have: int, line: str, word: str) -> Outcome:
        """Say that a sum is too large."""
        need = sum(part.bytes for part in parts)
        return Outcome("does not fit", self.where, parts, need, have, None, line, word)


class _Share:
    """The share that a server takes of each of its GPUs, whatever it holds."""

    def __init__(self, view: _View, split: int) -> None:
        self.view, self.kind = view, view.memory["of"]
        self.total, self.left = view.tightest.total, view.left
        self.fraction = share_of(view.demand, self.total, split)
        self.base = int(view.memory.get("base_gib", 0) * GIB)
        if self.kind == "total":
            self.room = int(self.fraction * self.total)
        elif self.kind == "free":
            self.room = int(self.fraction * max(0, self.left - self.base))
        else:  # of the whole GPU, and what others hold counts as used
            self.room = int(self.left - (1 - self.fraction) * self.total) - self.base

    @property
    def is_free(self) -> bool:
        """Whether it is there to be taken."""
        return self.kind != "total" or self.room * (1 - _UNSEEN) + self.base <= self.left

    @property
    def words(self) -> str:
        """How it comes about."""
        if self.kind == "free":
            return f"{self.fraction:g} x {gib(max(0, self.left - self.base))}"
        used = f" - {gib(self.total - self.left + self.base)} in use" if self.kind == "whole" else ""
        return f"{self.fraction:g} x {gib(self.total)}{used}"

    def not_free(self) -> Outcome:
        """Refuse it."""
        parts = [Part("share", self.room, self.words), *self.outside()]
        need = sum(part.bytes for part in parts)
        return self.view.refused(
            parts, self.left, self.view.line(parts, self.view.of(), need - self.left), share_word(self.view.demand)
        )

    def outside(self) -> list[Part]:
        """What lies outside of it."""
        return [Part("CUDA", self.base)] if self.base else []

    def told(self, unclear: str) -> Outcome:
        """Tell it where nothing is known of what it holds."""
        need = max(0, self.room) + self.base
        line = f"{unclear}; its share is {gib(max(0, self.room))} GiB of {self.view.of()}"
        takes = _added({place.key: need for place in self.view.used}, self.view.used)
        return Outcome("unknown", self.view.where, need=need, have=self.left, line=line, takes=takes)


class _Sum:
    """The sum for one server of which all is known."""

    def __init__(self, view: _View, shapes: list[Shape], split: int) -> None:
        self.view, self.demand, self.memory = view, view.demand, view.memory
        self.split, self.shape = split, shapes[0]
        self.sizes = sizes(self.demand, shapes, split)
        self.caches = bool(self.shape.cache)
        self.full = self.memory.get("cache") == "full"

    # -- words

    @property
    def per_token(self) -> str:
        """The KV cache of one token."""
        return f"{round(self.sizes.token / 1024, 2):g} KiB"

    @property
    def windows(self) -> str:
        """What the sum says of layers that keep less."""
        return ", windows are less" if any(layer.window for layer in self.shape.cache) else ""

    @property
    def word(self) -> str:
        """The variable that names its models."""
        return "model" if len(self.demand["models"]) == 1 else "models"

    def weights(self) -> Part:
        """Its weights."""
        return Part("weights", self.sizes.weights, f"1/{self.split} of them" if self.split > 1 else "")

    def bytes_of(self, tokens: int, requests: int) -> int:
        """The KV cache of requests."""
        return cache_bytes(self.demand, self.shape, tokens, requests, self.split)

    # -- engines that take what they need

    def exact(self) -> Outcome:
        """Weights, KV cache in full and buffers must fit."""
        view, size, have = self.view, self.sizes, self.view.left
        base = size.base * (len(view.used) if view.pooled else 1) + size.buffers
        total = number(option(self.demand, self.memory.get("total_option")), 0)
        tokens, shrinks = size.context, False
        if self.caches and self.full and tokens and not self.demand["context_length"] and not total:
            # What it finds too long it makes shorter by itself.
            shrinks = self.bytes_of(tokens, size.requests) + size.weights + base > have
            tokens = min(tokens, SMALLEST_CONTEXT) if shrinks else tokens
        cache = self._kv(tokens, total)
        request = self.bytes_of(tokens, 1) if cache and tokens else 0
        if cache and self.demand["kv_gib"] is not None and request > cache.bytes:
            asked = [Part("KV cache", request, f"{tokens} tokens x {self.per_token}{self.windows}")]
            line = f"{_written(asked)} GiB, and there are {gib(cache.bytes)} GiB (kv_cache_gib)"
            return view.refused(asked, cache.bytes, line, "context_length")
        parts = [self.weights(), *([cache] if cache else [])]
        parts += [Part(self.memory.get("base_name", "CUDA and buffers"), base)]
        need = sum(part.bytes for part in parts)
        line = view.line(parts, view.of(), need - have)
        if need > have:
            return view.refused(parts, have, line, self.word)
        if shrinks:
            line += f"; it makes its context shorter than the model's {size.context} tokens by itself"
        requests = cache.bytes // request if cache and request else None
        line += f"; room for {_counted(requests)} of {tokens} tokens at once" if requests else ""
        takes = {place.key: int(need * max(0, place.left) / have) if view.pooled else need for place in view.used}
        verdict = "fits with" if shrinks else "fits"
        return Outcome(verdict, view.where, parts, need, have, requests, line, self.word, takes=takes)

    def _kv(self, tokens: int | None, total: int) -> Part | None:
        """Give the KV cache that is taken when it starts."""
        given = self.demand["kv_gib"]
        if not self.caches:
            return None
        if given is not None:
            return Part("KV cache", int(given * GIB), "kv_cache_gib")
        if total:
            return Part("KV cache", self.bytes_of(total, 1), f"{total} tokens x {self.per_token}{self.windows}")
        if self.full and tokens:
            how = f"{tokens} tokens x {self.per_token} x {self.sizes.requests}{self.windows}"
            return Part("KV cache", self.bytes_of(tokens, self.sizes.requests), how)
        return None

    # -- engines that take a share

    def share(self, share: _Share) -> Outcome:
        """The share must hold weights and one request of full length."""
        view, size = self.view, self.sizes
        given = self.demand["kv_gib"]
        limit = number(option(self.demand, self.memory.get("total_option")), 0) if self.caches else 0
        fixed = [self.weights(), *([Part("buffers", size.buffers)] if size.buffers else [])]
        pool = share.room - sum(part.bytes for part in fixed) if given is None else int(given * GIB)
        how = f"the rest of {share.words}" if given is None else "kv_cache_gib"
        if limit and self.bytes_of(limit, 1) < pool:
            pool, how = self.bytes_of(limit, 1), f"{limit} tokens x {self.per_token}{self.windows}"
        parts = [*fixed, *([Part("KV cache", pool, how)] if self.caches else []), *share.outside()]
        need = sum(part.bytes for part in parts)
        if given is not None and need > share.left:
            return view.refused(parts, share.left, view.line(parts, view.of(), need - share.left), "kv_cache_gib")
        request = self.bytes_of(size.context, 1) if self.caches and size.context else 0
        # One that shortens its requests by itself needs no room for the model's longest.
        must = request if self.demand["context_length"] or not self.memory.get("shrinks") else 0
        if pool < must or pool < 0 or (self.caches and pool == 0):
            return self._too_small(share, fixed, must, pool, how if given is not None or how[0].isdigit() else "")
        requests = pool // request if request else None
        line = view.line(parts, view.of())
        tokens = f"{size.context} tokens x {self.per_token}{self.windows}"
        if requests:
            line += f"; room for {_counted(requests)} of {tokens} at once"
        elif requests == 0:
            line += f"; too small for a request of the model's {tokens}"
        if need > share.left:
            line += "; CUDA counts the whole GPU a little lower than nvidia-smi does, so this may just fit"
        verdict = "fits with" if requests == 0 else "fits"
        takes = _added({place.key: need for place in view.used}, view.used)
        return Outcome(verdict, view.where, parts, need, share.left, requests, line, self.word, takes=takes)

    def _too_small(self, share: _Share, fixed: list[Part], must: int, pool: int, given: str) -> Outcome:
        """Refuse a share, or a KV cache of a size that is told, that holds too little."""
        asked = Part("KV cache", must, f"{self.sizes.context} tokens x {self.per_token}{self.windows}")
        word = "context_length" if must else self.word
        if given and pool >= 0:
            line = f"{_written([asked])} GiB, and there are {gib(pool)} GiB ({given})"
            return self.view.refused([asked], pool, line, word)
        parts = [*fixed, *([asked] if must else [])]
        room = max(0, share.room)
        limit = f"{gib(room)} GiB ({share.words}) on {self.view.where}"
        # A share of the whole is what it is, whoever holds the rest.
        short = sum(part.bytes for part in parts) - room
        line = self.view.line(parts, limit, short)
        if share.kind == "total":
            line = f"{_written(parts)} = {_total(parts)} GiB, and there are {limit}"
        return self.view.refused(parts, room, line, word)


def share_of(demand: t.Mapping[str, t.Any], total: int, split: int) -> float:
    """Give the share that a server takes of a GPU.

    Args:
        demand: What the server asks.
        total: Bytes of the GPU.
        split: GPUs that share the model.

    Returns:
        What the inventory says, else the engine's own choice.
    """
    memory = demand["memory"]
    told = demand["fraction"] if demand["fraction"] is not None else option(demand, memory.get("share_option"))
    if told is not None:
        try:
            return float(told)
        except (TypeError, ValueError):
            pass
    if "share" in memory:
        return float(memory["share"])
    # Some leave an amount instead.
    kept = float(memory["leaves_gib"] + memory["leaves_gib_per_gpu"] * split) * GIB
    return round(max(0.0, (total - kept) / total), 3)


def share_word(demand: t.Mapping[str, t.Any]) -> str:
    """Name the variable that says the share."""
    return "options" if demand["memory"].get("share_option") else "gpu_memory_fraction"


def _added(takes: dict[str, int], used: list[Place]) -> dict[str, int]:
    """Sum up what is taken of places that several GPUs share, which is the host's memory."""
    if len({place.key for place in used}) == len(used):
        return takes
    summed: dict[str, int] = {}
    for place in used:
        summed[place.key] = summed.get(place.key, 0) + takes[place.key]
    return summed


def _holders(holders: t.Sequence[tuple[str, int]]) -> str:
    """Say who holds how much."""
    told = [f"{name} holds {size / GIB:.1f} GiB" for name, size in holders[:3]]
    return " and ".join(told) + (" and others more" if len(holders) > len(told) else "")


def _counted(requests: int) -> str:
    return f"{requests} request" + ("s" if requests != 1 else "")


def _hundredths(size: int) -> int:
    return round(size * 100 / GIB)


def _written(parts: t.Sequence[Part]) -> str:
    return " + ".join(
        f"{part.what} {_hundredths(part.bytes) / 100:.2f}" + (f" ({part.how})" if part.how else "") for part in parts
    )


def _total(parts: t.Sequence[Part]) -> str:
    """Write a sum of which the written parts add up."""
    return f"{sum(_hundredths(part.bytes) for part in parts) / 100:.2f}"
