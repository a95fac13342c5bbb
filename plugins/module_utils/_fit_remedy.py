# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Find the change that makes a server fit. Each is tried in the same sum, so one that is told works."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._fit_judge import (
    NOT_HERE,
    Outcome,
    divisors,
    judge,
    known_shapes,
    share_of,
    share_word,
)
from ansible_collections.llmops.serving.plugins.module_utils._fit_memory import GIB
from ansible_collections.llmops.serving.plugins.module_utils._fit_places import Places

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._shape import Shape

# Context lengths that are told: multiples of what all engines' caches are laid out in, and none that is of no use.
_STEP = 256
_LEAST_CONTEXT = 1024
# Four bits, and the scales and the layers that stay as they are (AWQ and Q4_K_M of models with 7 to 70 thousand
# million parameters: 4.5 to 5.7 bits in all).
_QUANTISED_BITS = 5.2


class _Try(t.NamedTuple):
    """A change: the variable, what to do in words, and the demands, shapes and host with it."""

    word: str
    words: str
    demands: list[dict[str, t.Any]]
    shapes: t.Mapping[str, Shape | None]
    host: t.Mapping[str, t.Any]


class _Case:
    """One server that does not fit, among the others."""

    def __init__(
        self,
        demands: t.Sequence[dict[str, t.Any]],
        number: int,
        shapes: t.Mapping[str, Shape | None],
        host: t.Mapping[str, t.Any],
    ) -> None:
        self.demands, self.number, self.shapes, self.host = list(demands), number, shapes, host
        self.demand = self.demands[number]
        self.memory = self.demand["memory"]
        self.before = self._outcomes(_Try("", "", self.demands, shapes, host))
        self.outcome = self.before[number]

    def _outcomes(self, change: _Try) -> list[Outcome]:
        """Judge the servers up to this one."""
        places = Places.of(change.host, [demand["server"] for demand in change.demands])
        found = []
        for demand in change.demands[: self.number + 1]:
            outcome = judge(demand, known_shapes(demand, change.shapes), places)
            found.append(outcome)
            if outcome.verdict != "does not fit":
                places.take(demand["server"], outcome.takes)
        return found

    def works(self, change: _Try) -> bool:
        """Tell whether the server fits with a change, and those before it no worse than without."""
        after = self._outcomes(change)
        worse = any(
            new.verdict == "does not fit" and old.verdict != "does not fit"
            for new, old in zip(after, self.before)  # noqa: B905  strict came with Python 3.10
        )
        own = after[self.number]
        # What just about passes is not advised.
        return own.verdict == "fits" and own.need <= own.have and not worse

    def with_(self, **words: t.Any) -> list[dict[str, t.Any]]:
        """Give the demands with this server's words changed."""
        return [*self.demands[: self.number], {**self.demand, **words}, *self.demands[self.number + 1 :]]

    def change(self, word: str, words: str, **changes: t.Any) -> _Try:
        """Make a change of this server's own words."""
        return _Try(word, words, self.with_(**changes), self.shapes, self.host)

    # -- what may be changed

    def split(self) -> t.Iterator[_Try]:
        """Set tensor_parallel_size to what the heads and the GPUs allow."""
        models = known_shapes(self.demand, self.shapes)
        places = Places.of(self.host, [demand["server"] for demand in self.demands])
        if self.memory.get("gpus") != "split" or not models or self.demand["accelerator"] == "cpu":
            return
        here, all_gpus = len(places.chosen(self.demand)), len(places.gpus)
        for ways in divisors(models[0].heads or 1):
            told = f"set tensor_parallel_size of the server to {ways}"
            if ways == self.demand["tensor_parallel"]:
                continue
            if ways <= here:
                yield self.change("tensor_parallel_size", told, tensor_parallel=ways)
            elif ways <= all_gpus:
                names = [str(gpu["index"]) for gpu in places.gpus[:ways]]
                more = f"{told} and gpus to {_listed(names)}"
                yield self.change("tensor_parallel_size", more, tensor_parallel=ways, gpus=names)

    def context(self) -> t.Iterator[_Try]:
        """Set the longest context_length that fits."""
        models = known_shapes(self.demand, self.shapes)
        top = self.demand["context_length"] or (models[0].max_context if models else None)
        if not top or not models or not models[0].cache:
            return
        if models[0].max_context and self.memory.get("context_env"):
            top = min(top, models[0].max_context)
        told = "set context_length of the server to {}"
        low, high = 0, top // _STEP
        if self.demand["context_length"] and top < self.demand["context_length"]:
            yield self.change("context_length", told.format(top), context_length=top)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.works(self.change("context_length", "", context_length=middle * _STEP))
            low, high = (middle, high) if fits else (low, middle - 1)
        if low * _STEP >= min(_LEAST_CONTEXT, top):
            yield self.change("context_length", told.format(low * _STEP), context_length=low * _STEP)

    def parallel(self) -> t.Iterator[_Try]:
        """Set fewer requests at once."""
        if self.memory.get("cache") == "full":
            for count in range((self.demand["parallel"] or 1) - 1, 0, -1):
                yield self.change("parallel", f"set parallel of the server to {count}", parallel=count)

    def fraction(self) -> t.Iterator[_Try]:
        """Set the smallest share that does, or the largest that is free."""
        if self.memory["takes"] != "share":
            return
        now = round(self._fraction(self.demand) * 100)
        # A share that the inventory says is raised no further than needed; one that is too much for what is free is
        # lowered no further than needed.
        lower, higher = range(now, 4, -1), range(now + 1, 98)
        for hundredths in lower if self.outcome.word == share_word(self.demand) else higher:
            yield self._with_fraction(self.number, hundredths)

    def squeezed(self) -> t.Iterator[_Try]:
        """Set the largest share that is free, and the longest context that fits into it."""
        if self.outcome.word != share_word(self.demand):
            return
        for change in self.fraction():
            inner = _Case(change.demands, self.number, self.shapes, self.host)
            if inner.outcome.word == self.outcome.word:
                continue
            for second in inner.context():
                yield second._replace(word=change.word, words=f"{change.words} and {second.words[len('set ') :]}")
            return

    def _fraction(self, demand: dict[str, t.Any]) -> float:
        places = Places.of(self.host, [])
        return share_of(demand, min(place.total for place in places.chosen(demand)), demand["tensor_parallel"])

    def _with_fraction(self, number: int, hundredths: int) -> _Try:
        """Change the share of one of the servers."""
        demand, value = self.demands[number], hundredths / 100
        own = number == self.number
        whose = "the server" if own else f"server {demand['server']}"
        name = demand["memory"].get("share_option")
        if name:
            changed = {**demand, "options": {**demand["options"], name: value}}
            words = f"set options: {{{name}: {value:g}}} of {whose}"
        else:
            changed = {**demand, "fraction": value}
            words = f"set gpu_memory_fraction of {whose} to {value:g}"
        demands = [*self.demands[:number], changed, *self.demands[number + 1 :]]
        return _Try(share_word(demand) if own else "gpus", words, demands, self.shapes, self.host)

    def _before(self) -> list[int]:
        """List the servers before it that take a share of the same memory, or a KV cache of a size that is told."""
        places = Places.of(self.host, [])
        mine = {place.key for place in places.chosen(self.demand)}
        return [
            number
            for number, demand in enumerate(self.demands[: self.number])
            if mine & {place.key for place in places.chosen(demand)}
        ]

    def shared(self) -> t.Iterator[_Try]:
        """Lower its share and that of a server before it alike."""
        if self.outcome.word != share_word(self.demand):
            return
        own = round(self._fraction(self.demand) * 100)
        for number in self._before():
            if self.demands[number]["memory"].get("takes") != "share":
                continue
            now = round(self._fraction(self.demands[number]) * 100)
            for scale in range(99, 4, -1):
                first = self._with_fraction(number, max(1, now * scale // 100))
                second = self._with_fraction(self.number, max(1, own * scale // 100))
                demands = [*first.demands]
                demands[self.number] = second.demands[self.number]
                words = f"{second.words}, and {first.words[len('set ') :]}"
                yield second._replace(words=words, demands=demands)

    def others(self) -> t.Iterator[_Try]:
        """Lower what a server before it takes of the same memory."""
        for number in self._before():
            demand = self.demands[number]
            if demand["memory"].get("takes") == "share":
                for hundredths in range(round(self._fraction(demand) * 100) - 1, 4, -1):
                    yield self._with_fraction(number, hundredths)
            elif demand["kv_gib"] is not None:
                for tenths in range(round(demand["kv_gib"] * 10) - 1, 0, -1):
                    words = f"set kv_cache_gib of server {demand['server']} to {tenths / 10:g}"
                    changed = {**demand, "kv_gib": tenths / 10}
                    demands = [*self.demands[:number], changed, *self.demands[number + 1 :]]
                    yield _Try(self.outcome.word, words, demands, self.shapes, self.host)

    def cache(self) -> t.Iterator[_Try]:
        """Set kv_cache_gib as large as one request, or as small."""
        if self.demand["kv_gib"] is None:
            return
        for tenths in [*range(round(self.demand["kv_gib"] * 10) - 1, 0, -1), *_sizes_above(self.demand["kv_gib"])]:
            yield self.change("kv_cache_gib", f"set kv_cache_gib of the server to {tenths / 10:g}", kv_gib=tenths / 10)

    def elsewhere(self) -> t.Iterator[_Try]:
        """Name other GPUs."""
        if self.demand["accelerator"] == "cpu" or self.memory.get("gpus") == "pool":
            return
        places = Places.of(self.host, [])
        count = self.demand["tensor_parallel"] if self.memory.get("gpus") == "split" else 1
        order = sorted(places.gpus, key=lambda gpu: -(gpu["memory_free"] or 0))
        for start in range(len(order) - count + 1):
            names = sorted(str(gpu["index"]) for gpu in order[start : start + count])
            yield self.change("gpus", f"set gpus of the server to {_listed(names)}", gpus=names)

    def pooled(self) -> t.Iterator[_Try]:
        """Name all GPUs, for an engine that lays its layers over them."""
        if self.demand["accelerator"] != "cpu" and self.memory.get("gpus") == "pool" and self.demand["gpus"]:
            yield self.change("gpus", "set gpus of the server to [all]", gpus=["all"])

    def strangers(self) -> t.Iterator[_Try]:
        """End programs of others, the largest first."""
        places = Places.of(self.host, [])
        if self.demand["accelerator"] == "cpu":
            return
        mine = {place.key for place in places.chosen(self.demand)}
        found = [
            (gpu, process)
            for gpu in self.host["gpus"]
            if gpu["uuid"] in mine
            for process in gpu.get("processes") or []
            if process["server"] is None and process["memory"]
        ]
        found.sort(key=lambda pair: -pair[1]["memory"])
        gpus = {gpu["uuid"]: dict(gpu) for gpu in self.host["gpus"]}
        ended: list[str] = []
        for gpu, process in found:
            gpus[gpu["uuid"]]["memory_free"] += process["memory"]
            ended.append(
                f"{process['pid']} ({process['name']}, {process['memory'] / GIB:.1f} GiB) on GPU {gpu['index']}"
            )
            words = f"stop process{'es' if len(ended) > 1 else ''} {', '.join(ended)}"
            host = {**self.host, "gpus": [dict(each) for each in gpus.values()]}
            yield _Try("gpus", words, self.demands, self.shapes, host)

    def quantised(self) -> t.Iterator[_Try]:
        """Serve the model with four bits."""
        models = known_shapes(self.demand, self.shapes)
        if not models or len(models) > 1 or models[0].quantization or models[0].encoder or not models[0].parameters:
            return
        shape = models[0]
        size = int((shape.parameters or 0) * _QUANTISED_BITS / 8)
        if size >= shape.weight_bytes:
            return
        small = dataclasses.replace(shape, weight_bytes=size, quantization="awq", bits=_QUANTISED_BITS, dtype="int8")
        words = f"serve a smaller or quantised model (4 bits: {size / GIB:.1f} GiB)"
        shapes = {**self.shapes, self.demand["models"][0]: small}
        yield _Try("model", words, self.demands, shapes, self.host)
        inner = _Case(self.demands, self.number, shapes, self.host)
        for change in inner.context():
            yield change._replace(word="model", words=f"{words} and {change.words}")


def _sizes_above(size: float) -> t.Iterable[int]:
    return range(round(size * 10) + 1, round(size * 10) + 640)


def _listed(names: t.Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def remedy_for(
    demands: t.Sequence[dict[str, t.Any]],
    number: int,
    shapes: t.Mapping[str, Shape | None],
    host: t.Mapping[str, t.Any],
) -> tuple[str, str]:
    """Find the most helpful change for a server that does not fit.

    Args:
        demands: What the servers of the host ask.
        number: Which of them.
        shapes: By model its shape.
        host: The facts of `host_facts`.

    Returns:
        The variable, and what to do in words.
    """
    case = _Case(demands, number, shapes, host)
    for way in _ways(case):
        for change in way():
            if case.works(change):
                return change.word, change.words
    if len(case.demand["models"]) > 1:
        return "models", "take a model out of models of the server, or serve them on a host with more memory"
    return case.outcome.word or "model", NOT_HERE


def _ways(case: _Case) -> list[t.Callable[[], t.Iterator[_Try]]]:
    """List the changes, the most helpful first."""
    demand, word = case.demand, case.outcome.word
    if word == "tensor_parallel_size":
        first = [case.split]
    elif demand["memory"]["takes"] == "share" and word == share_word(demand):
        first = [case.shared, case.fraction, case.elsewhere, case.others, case.squeezed]
    elif demand["context_length"] and demand["memory"]["takes"] == "exact":
        # What the inventory asks for comes before what an engine takes by itself.
        first = [case.cache, case.others, case.context]
    elif demand["context_length"] and demand["fraction"] is not None:
        first = [case.cache, case.fraction, case.context]
    else:
        first = [case.cache, case.context, case.fraction]
    return [*first, case.parallel, case.elsewhere, case.pooled, case.others, case.split, case.strangers, case.quantised]
