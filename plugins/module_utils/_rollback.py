# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Choose the generation that a server goes back to."""

from __future__ import annotations

from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._hold import held_notice
from ansible_collections.llmops.serving.plugins.module_utils._prepare import Unready, demand_models
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError

_HISTORY = "`llmops history HOST {}` shows what there is"


def choose(name: str, number: int | None) -> Generation:
    """Choose the generation to go back to.

    Args:
        name: The server's name.
        number: Its number; None for the newest one that was good and does not serve.

    Returns:
        The generation. It may be the current one, where its number was given.

    Raises:
        ServerError: There is none such, or it was never good.
    """
    store = Store(name)
    current, good = store.current(), store.good()
    see = _HISTORY.format(name)
    if not store.numbers():
        there = ", ".join(one for one in server_names() if Store(one).numbers()) or "none"
        raise ServerError("generation", f"there is no server {name} on this host", f"name one that there is: {there}")
    if number is None:
        if not good:
            kept = f"generation {current.number} is the only good one" if current else "none was good"
            raise ServerError(
                "generation",
                f"there is nothing to go back to: {kept}",
                "change the server in the inventory, and apply it",
            )
        return good[-1]
    if current and number == current.number:
        return current
    for generation in good:
        if generation.number == number:
            return generation
    asked = store.read(number)
    if asked is None:
        numbers = ", ".join(str(generation.number) for generation in good) or "none"
        raise ServerError(
            "generation", f"generation {number} is not kept; these can be gone back to: {numbers}", f"name one: {see}"
        )
    why = "failed at {check}: {cause}".format(**asked.failed) if asked.failed else "was cut off before it was judged"
    raise ServerError("generation", f"generation {number} {why}", f"name one that was good: {see}")


def demand_back(name: str, target: Generation) -> None:
    """Demand what can be known before anything is touched: nobody holds the server, and its old models are whole.

    Args:
        name: The server's name.
        target: The generation to go back to.

    Raises:
        ServerError: Something stands in the way.
    """
    held = held_notice([name])
    if held:
        raise ServerError("hold", held, "wait for it, or put the servers back first")
    try:
        demand_models(target.asked.get("models") or [])
    except Unready as exc:
        raise ServerError(
            exc.check,
            exc.cause,
            f"apply with that version in serving_models, which fetches it, or name another generation than "
            f"{target.number}",
        ) from exc
