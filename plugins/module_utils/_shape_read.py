# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the heads of models' files, from the store or the hub, and nothing more: questions only."""

from __future__ import annotations

import contextlib
import posixpath
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, HttpError, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, is_pickle, parse_hub_url
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store, stored_name
from ansible_collections.llmops.serving.plugins.module_utils._shape import (
    SAFETENSORS_HEADER_MAX,
    NeedMore,
    Shape,
    ShapeError,
    parse_json,
    parse_safetensors_header,
    shape_of_config,
)
from ansible_collections.llmops.serving.plugins.module_utils._shape_gguf import parse_gguf, shape_of_gguf

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_plan import ModelPlan
    from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec

# One small request and one retry: a preflight answers soon, and a shape is only advice.
_RETRY = Retry(attempts=2, base=0.5, cap=5.0)
_THREADS = 8
_FIRST = 1 << 20
_GGUF_GROWTH = 4
_GGUF_MAX = 64 << 20
_CONFIG_MAX = 4 << 20
_INDEX_MAX = 64 << 20
# With more files than this the index is asked for their sum instead of each for its header.
_SHARDS_MAX = 8
_GGUF_PARTS_MAX = 64

_CONFIG, _INDEX, _SINGLE = "config.json", "model.safetensors.index.json", "model.safetensors"
_GGUF_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf\Z", re.IGNORECASE)
_PROJECTOR = re.compile(r"mmproj", re.IGNORECASE)

_T = t.TypeVar("_T")


class _Source(t.Protocol):
    """Where a model's files are."""

    def read(self, path: str, start: int, end: int) -> tuple[int, bytes]:
        """Bytes from start (or, where the source cannot begin there, from 0) to end, and where they begin."""

    def size(self, path: str) -> int | None:
        """The file's size in bytes, None when not known."""


class _Folder:
    """A complete model in the store."""

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        self.folder = folder
        self.spec = spec

    def read(self, path: str, start: int, end: int) -> tuple[int, bytes]:
        with self._place(path).open("rb") as file:
            file.seek(start)
            return start, file.read(end - start)

    def size(self, path: str) -> int | None:
        return self._place(path).stat().st_size

    def _place(self, path: str) -> Path:
        return self.folder / stored_name(self.spec, path)


class _Remote:
    """A model on the hub, or at its own address."""

    def __init__(self, hub: Hub, spec: ModelSpec) -> None:
        self.hub = hub
        self.spec = spec

    def read(self, path: str, start: int, end: int) -> tuple[int, bytes]:
        answer, data = self.hub.client.fetch(
            self.hub.file_url(self.spec, path),
            self.hub.auth_for(self.spec),
            {"Range": f"bytes={start}-{end - 1}"},
            limit=end,
        )
        # A server without ranges sends the file from its start; it is read as far as wanted, then hung up.
        return (start if answer.status == 206 else 0), data  # noqa: PLR2004 - HTTP: partial content

    def size(self, path: str) -> int | None:
        return self.hub.head(self.spec, path).size


def read_shapes(  # noqa: PLR0913 - keywords, as plan_models has them
    plans: Mapping[str, ModelPlan],
    *,
    path: str,
    hub_url: str,
    token: str = "",
    ca_path: str | None = None,
    timeout: float = 15.0,
    client: HttpClient | None = None,
) -> dict[str, Shape | None]:
    """Read how large models are, from the store where they are complete there, else from the hub.

    Args:
        plans: Name to plan, as ``plan_models`` gives them.
        path: The model store's folder.
        hub_url: The hub.
        token: Secret for the hub, empty for none; it goes to the hub alone.
        ca_path: File with the certificates to trust instead of the system's.
        timeout: Seconds for each read from the network.
        client: How to ask (tests put their own here).

    Returns:
        Name to shape, in the order given; None for a model whose files do not say, and for one with a problem.
    """
    store = Store(path)
    hub: Hub | None = None
    # A wrong address is a problem of the plans that need the hub; models in the store need none.
    with contextlib.suppress(ModelError):
        hub = Hub(parse_hub_url(hub_url, token), token, client or HttpClient(ca_path, timeout, _RETRY))

    def read(plan: ModelPlan) -> Shape | None:
        source = _source(plan, store, hub)
        if source is None:
            return None
        try:
            return _shape(source, plan.files)
        except (ModelError, HttpError, NeedMore, ShapeError, OSError):
            return None

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        shapes = pool.map(read, plans.values())
        return {name: next(shapes) for name in plans}


def _source(plan: ModelPlan, store: Store, hub: Hub | None) -> _Source | None:
    if plan.spec is None or plan.problem is not None:
        return None
    if plan.present:
        return _Folder(store.folder(plan.spec.name, plan.spec.key), plan.spec)
    return None if hub is None else _Remote(hub, plan.spec)


def _shape(source: _Source, files: Sequence[str] | None) -> Shape:
    if files is None:
        return _unlisted(source)
    folder = _config_folder(files)
    if folder is not None:
        beside = [path for path in files if posixpath.dirname(path) == folder]
        weights = [path for path in beside if path.lower().endswith(".safetensors")]
        if weights:
            return _from_safetensors(source, posixpath.join(folder, ""), weights, _INDEX in map(_base, beside))
        pickles = [path for path in beside if is_pickle(path) and _base(path).startswith("pytorch_model")]
        if pickles:
            return _from_sizes(source, posixpath.join(folder, ""), pickles)
    return _from_gguf(source, _one_gguf(files))


def _base(path: str) -> str:
    return posixpath.basename(path)


def _config_folder(files: Sequence[str]) -> str | None:
    """The uppermost folder that has a config.json and weights beside it, None when there is none."""
    weighty = {posixpath.dirname(path) for path in files if path.lower().endswith(".safetensors") or is_pickle(path)}
    folders = [posixpath.dirname(path) for path in files if _base(path) == _CONFIG]
    return min((folder for folder in folders if folder in weighty), key=_depth, default=None)


def _depth(folder: str) -> tuple[int, str]:
    return len(folder.split("/")) if folder else 0, folder


def _unlisted(source: _Source) -> Shape:
    """A repository whose files the hub does not list: the usual names, at most three of them."""
    config = parse_json(_whole(source, _CONFIG, _CONFIG_MAX))
    try:
        header = _grow(source, _SINGLE, parse_safetensors_header, SAFETENSORS_HEADER_MAX + 8)
    except HttpError as error:
        if error.kind != "status":
            raise
        return _from_index(source, "", config)
    return shape_of_config(config, [header])


def _from_safetensors(source: _Source, folder: str, weights: Sequence[str], indexed: bool) -> Shape:
    config = parse_json(_whole(source, folder + _CONFIG, _CONFIG_MAX))
    if indexed and len(weights) > _SHARDS_MAX:
        return _from_index(source, folder, config)
    headers = [_grow(source, path, parse_safetensors_header, SAFETENSORS_HEADER_MAX + 8) for path in weights]
    return shape_of_config(config, headers)


def _from_index(source: _Source, folder: str, config: Mapping[str, t.Any]) -> Shape:
    index = parse_json(_whole(source, folder + _INDEX, _INDEX_MAX))
    metadata, names = index.get("metadata"), index.get("weight_map")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    # Some writers store the sum as a float.
    size = int(total) if isinstance(total, (int, float)) and 0 < total < float("inf") else None
    return shape_of_config(config, [], size, len(names) if isinstance(names, dict) else 0)


def _from_sizes(source: _Source, folder: str, weights: Sequence[str]) -> Shape:
    """Pickle: what is inside is not read, and the files are little larger than it."""
    config = parse_json(_whole(source, folder + _CONFIG, _CONFIG_MAX))
    sizes = [source.size(path) for path in weights]
    if None in sizes:
        raise ShapeError("the size of a file is not known")
    return shape_of_config(config, [], sum(size or 0 for size in sizes))


def _one_gguf(files: Sequence[str]) -> list[str]:
    """The one GGUF model among the files, all its parts in order.

    Raises:
        ShapeError: There are several (which one is served, the file name decides), or none.
    """
    models: dict[str, list[str]] = {}
    for path in files:
        if path.lower().endswith(".gguf") and not _PROJECTOR.search(_base(path)):
            models.setdefault(_GGUF_PART.sub("", path), []).append(path)
    if len(models) != 1:
        raise ShapeError(f"{len(models)} GGUF models")
    parts = sorted(next(iter(models.values())))
    if len(parts) > _GGUF_PARTS_MAX:
        raise ShapeError(f"{len(parts)} parts")
    return parts


def _from_gguf(source: _Source, parts: Sequence[str]) -> Shape:
    found = [_grow(source, path, parse_gguf, _GGUF_MAX, _GGUF_GROWTH) for path in parts]
    return shape_of_gguf(found[0][0], [tensor for _metadata, tensors in found for tensor in tensors])


def _whole(source: _Source, path: str, limit: int) -> bytes:
    """A small file, all of it.

    Raises:
        ShapeError: It is longer than the limit.
    """
    _start, data = source.read(path, 0, limit + 1)
    if len(data) > limit:
        raise ShapeError(f"{path} is too long")
    return data


def _grow(source: _Source, path: str, parse: Callable[[bytes], _T], limit: int, growth: int = 1) -> _T:
    """Parse a file's head, reading on as long as the parser wants more.

    Args:
        source: Where the file is.
        path: Its path.
        parse: Raises ``NeedMore`` while the data ends too soon.
        limit: Bytes to read at most.
        growth: How many times as much to read at the next step; 1 for a parser that knows what it needs.

    Raises:
        ShapeError: The file ends inside its head, or the head is longer than the limit.
    """
    data, wanted = b"", _FIRST
    while True:
        start, more = source.read(path, len(data), wanted)
        data = data[:start] + more
        try:
            return parse(data)
        except NeedMore as error:
            if error.size > limit:
                raise ShapeError(f"the header of {path} is too long") from None
            if len(data) < wanted:
                raise ShapeError(f"{path} ends inside its header") from None
            wanted = _next(wanted, error.size, limit, growth)


def _next(wanted: int, needed: int, limit: int, growth: int) -> int:
    """Bytes to have at the next step: all that is needed, in the fewest steps for a parser that learns it slowly."""
    if growth == 1:
        return needed
    while wanted < needed:
        wanted *= growth
    return min(wanted, limit)
