# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The typed API: a site is an inventory, and the things that can be done with it."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops_serving.errors import DriverError, Interrupted, UsageError
from llmops_serving.load import load_variables
from llmops_serving.removal import remove_variables
from llmops_serving.results import parse_events
from llmops_serving.runner import Interrupt, Outcome, PlaybookRun, run_playbook
from llmops_serving.waves import wave_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmops_serving.progress import Progress
    from llmops_serving.results import RunResult


# Commands whose playbook has another name.
_PLAYBOOKS = {"apply": "site", "tune": "tournament", "restore": "tournament"} | {
    f"models {action}": "models" for action in ("list", "verify", "prune")
}


class _Silence:
    def event(self, event: Mapping[str, Any]) -> None:
        """Ignore the event."""

    def tick(self) -> None:
        """Ignore the time."""

    def stopping(self) -> None:
        """Ignore the interrupt."""


@dataclass(frozen=True)
class Site:
    """The hosts of an inventory and what they serve.

    >>> result = Site("inventories/lab").apply()
    >>> [(server.name, server.url, [probe.sample for probe in server.probes]) for server in result.servers]

    Every method runs one playbook of the collection. It returns the results also where hosts or servers failed
    (`result.ok` is False then) and raises `UsageError` where nothing could be run, `DriverError` where Ansible cannot,
    and `Interrupted` after Ctrl-C, once everything has stopped.

    Attributes:
        inventory: A path to an inventory, a list of hosts with a comma in it, or several of these.
        limit: A host pattern as of `ansible-playbook --limit`.
        servers: Names of servers to work on; all of them if empty.
        extra_vars: Variables that win over the inventory.
        extra_vars_options: The same as text, as `ansible-playbook -e` takes it: `key=value`, JSON, or `@file`.
        vault_password_file: A file that holds the vault's password, or a script that prints it.
        become_password: The password of sudo on the hosts.
        forks: Number of hosts at a time.
        verbosity: Number of -v of ansible-playbook.
        environment: Variables to add to the environment of the run.
        keep_artifacts: A folder where ansible-runner's files are kept; they may hold what modules returned.
    """

    inventory: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    limit: str | None = None
    servers: Sequence[str] = ()
    extra_vars: Mapping[str, Any] = field(default_factory=dict, repr=False)
    extra_vars_options: Sequence[str] = field(default=(), repr=False)
    vault_password_file: str | os.PathLike[str] | None = None
    become_password: str | None = field(default=None, repr=False)
    forks: int | None = None
    verbosity: int = 0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    keep_artifacts: str | os.PathLike[str] | None = None

    def plan(
        self,
        *,
        diff: bool = False,
        hardware: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Tell what `apply` would change, and whether the servers fit, and change nothing.

        Args:
            diff: Let modules report differences, secrets masked.
            hardware: A file of what nvidia-smi says on another machine; the plan is then whether the servers would fit
                there, and nothing else. docs/gpu.md has the command that writes it.
            progress: Somebody who watches the run.

        Returns:
            The results; `changed` says whether `apply` would change something.
        """
        elsewhere = {"serving_hardware": str(_existing(hardware, "file of nvidia-smi's answer"))} if hardware else {}
        return self._run("plan", check=True, diff=diff, extra_vars=elsewhere, progress=progress)

    def apply(  # noqa: PLR0913  what an apply is made of
        self,
        *,
        check: bool = False,
        diff: bool = False,
        serial: int | str | None = None,
        max_fail_percentage: float | None = None,
        keep_failed: bool = False,
        progress: Progress | None = None,
    ) -> RunResult:
        """Make the hosts serve what the inventory says, and prove it with real requests.

        Args:
            check: Change nothing.
            diff: Let modules report differences, secrets masked.
            serial: Hosts of a wave: a number, a share such as `25%`, or several with commas between them; None for all
                hosts at once. No wave begins after one in which a host failed.
            max_fail_percentage: Which share of a wave's hosts may fail all the same.
            keep_failed: Whether a generation that fails its gate is kept for inspection.
            progress: Somebody who watches the run.

        Returns:
            The results; `waves` says how far the waves came.
        """
        words = wave_variables(serial, max_fail_percentage) | ({"engine_keep_failed": True} if keep_failed else {})
        return self._run("apply", check=check, diff=diff, extra_vars=words, progress=progress)

    def history(self, host: str, servers: Sequence[str] = (), *, progress: Progress | None = None) -> RunResult:
        """Tell which generations of its servers a host has kept, and what each changed.

        Args:
            host: The host, or a pattern of hosts.
            servers: Names of servers; all that the host has if empty.
            progress: Somebody who watches the run.

        Returns:
            The results; `hosts[].histories` has what there is.
        """
        words = {"history_servers": list(servers)}
        return replace(self, limit=host, servers=())._run("history", extra_vars=words, progress=progress)

    def rollback(  # noqa: PLR0913  what a rollback is made of
        self,
        host: str,
        server: str,
        generation: int | None = None,
        *,
        check: bool = False,
        diff: bool = False,
        serial: int | str | None = None,
        max_fail_percentage: float | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Let an earlier generation of a server serve again, gated as any change. The inventory stays as it is.

        Args:
            host: The host, or a pattern of hosts where no generation is named.
            server: The server's name.
            generation: Its number; the newest that was good and does not serve if None.
            check: Change nothing.
            diff: Let modules report differences, secrets masked.
            serial: As for `apply`.
            max_fail_percentage: As for `apply`.
            progress: Somebody who watches the run.

        Returns:
            The results.
        """
        words = {"rollback_server": server, **wave_variables(serial, max_fail_percentage)}
        words |= {} if generation is None else {"rollback_generation": generation}
        there = replace(self, limit=host, servers=())
        return there._run("rollback", check=check, diff=diff, extra_vars=words, progress=progress)

    def verify(self, *, progress: Progress | None = None) -> RunResult:
        """Probe what runs with real requests, and change nothing.

        Args:
            progress: Somebody who watches the run.

        Returns:
            The results.
        """
        return self._run("verify", progress=progress)

    def diagnose(
        self, host: str, servers: Sequence[str] = (), *, gate: bool = True, progress: Progress | None = None
    ) -> RunResult:
        """Say how the servers of a host fare, why one is ill, and what to do. Changes nothing.

        Args:
            host: The host, or a pattern of hosts.
            servers: Names of servers; all that the host or the inventory has if empty.
            gate: Whether to ask the servers real questions.
            progress: Somebody who watches the run.

        Returns:
            The results; `servers[].data` has the evidence, as the module `server_diagnosis` returns it.
        """
        there = replace(self, limit=host, servers=tuple(servers))
        return there._run("diagnose", extra_vars={"diagnose_gate": gate}, progress=progress)

    def remove(  # noqa: PLR0913  what a removal takes
        self,
        *,
        everything: bool = False,
        models: bool = False,
        images: bool = False,
        docker: bool = False,
        check: bool = False,
        diff: bool = False,
        progress: Progress | None = None,
    ) -> RunResult:
        """Remove servers, those of the inventory by default, with all that was made for them, and look what is left.

        Args:
            everything: Remove all that the collection made on the hosts, also servers of which no inventory knows.
            models: Remove the models too that nobody else uses.
            images: Remove the images too that nobody else uses.
            docker: With everything and images, remove Docker and the container toolkit, if nothing else is in it.
            check: Change nothing.
            diff: Let modules report differences, secrets masked.
            progress: Somebody who watches the run.

        Returns:
            The results; `hosts[].removal` has what was removed, stays and is left. What is left is among the host's
            `problems`, and then `ok` is False.
        """
        words = remove_variables(self.servers, everything=everything, models=models, images=images, docker=docker)
        return self._run("remove", check=check, diff=diff, extra_vars=words, progress=progress)

    def drift(self, *, every_byte: bool = False, diff: bool = False, progress: Progress | None = None) -> RunResult:
        """Tell what on the hosts is not as inventory and lock file say, and change nothing. No hub need answer.

        Args:
            every_byte: Read the models whole, and not only files whose size or time is another.
            diff: Let modules report differences, secrets masked.
            progress: Somebody who watches the run.

        Returns:
            The results; `hosts[].differs` says what differs, and `exit_code` is 3 if anything does.
        """
        words = {"models_verify": True} if every_byte else {}
        return self._run("drift", check=True, diff=diff, extra_vars=words, progress=progress)

    def lock(self, *, check: bool = False, diff: bool = False, progress: Progress | None = None) -> RunResult:
        """Write images, models and versions that the hosts serve with into the lock file beside the inventory.

        Args:
            check: Write nothing.
            diff: Show the file before and after.
            progress: Somebody who watches the run.

        Returns:
            The results; `hosts[].locks` says what was written. A host that is not as the inventory says, or a server
            that does not answer a real request sensibly, fails, and then nothing is written.
        """
        return self._run("lock", check=check, diff=diff, progress=progress)

    def models(
        self,
        action: str = "list",
        names: Sequence[str] = (),
        *,
        check: bool = False,
        diff: bool = False,
        progress: Progress | None = None,
    ) -> RunResult:
        """Look at the models that the hosts have.

        Args:
            action: `list` tells what there is and who needs it, `verify` reads every byte again, and `prune` removes
                what neither a server nor the inventory needs.
            names: Names of models to look at; all of them if empty.
            check: Change nothing.
            diff: Let modules report differences.
            progress: Somebody who watches the run.

        Returns:
            The results; `hosts[].store` has what there is. What is damaged is among the host's `problems`, and then
            `ok` is False. A name that no host has raises `UsageError`, or is among the `errors` of a prune that removed
            others.
        """
        words = {"models_action": action, "models_names": list(names)}
        result = self._run(f"models {action}", check=check, diff=diff, extra_vars=words, progress=progress)
        stores = [host.store for host in result.hosts if host.store]
        entries = [(*store.versions, *store.leftovers, *(store.removed or ())) for store in stores]
        unknown = sorted(set(names) - {version.name for found in entries for version in found})
        if result.ok and unknown:
            msg = f"no host has a model named {', '.join(unknown)}: `llmops models list` tells what they have"
            if result.changed and not check:
                # What is gone must be told.
                return replace(result, ok=False, errors=(*result.errors, msg))
            raise UsageError(msg)
        return result

    def benchmark(self, *, load: Mapping[str, Any] | None = None, progress: Progress | None = None) -> RunResult:
        """Put load on servers that run, and report how fast they answer. Changes nothing.

        Args:
            load: What differs from the defaults of the role `benchmark`, by the names of `llmops_serving.load.OPTIONS`.
            progress: Somebody who watches the run.

        Returns:
            The results; `hosts[].reports` has a report of each model of each server.
        """
        try:
            return self._run("benchmark", extra_vars=load_variables(load or {}, Path.cwd()), progress=progress)
        except Interrupted:
            # The load client and the watch are taken away, and nobody's hold is touched.
            words = {"tournament_state": "restored", "tournament_owner": uuid.uuid4().hex}
            with contextlib.suppress(Interrupted, DriverError):
                replace(self, servers=())._run("restore", extra_vars=words, progress=progress)
            raise

    def tournament(  # noqa: PLR0913  what a tournament is made of
        self,
        host: str,
        models: Sequence[str],
        engines: Sequence[str],
        *,
        together: str = "auto",
        load: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Let engines serve the same weights on a host, measure each, and put the host's servers back as they were.

        Args:
            host: The host.
            models: The same weights, by the name of each of their formats.
            engines: The engines.
            together: Whether all stay loaded side by side: auto, yes or no.
            load: As for `benchmark`.
            progress: Somebody who watches the run.

        Returns:
            The results; the report of the one host holds verdict and recommendation. Also after Ctrl-C the servers are
            put back before `Interrupted` is raised.
        """
        words = {"models": list(models), "engines": list(engines), "together": together}
        return self._compete("tournament", host, words, load, progress)

    def tune(  # noqa: PLR0913  what a search is made of
        self,
        host: str,
        server: str,
        *,
        minutes: float = 30.0,
        tries: int = 0,
        load: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Search the settings that make a server fastest, and leave it as it was.

        Args:
            host: The host.
            server: The server's name.
            minutes: How long it may take.
            tries: How many settings are tried at most, 0 for as many as the time allows.
            load: As for `benchmark`.
            progress: Somebody who watches the run.

        Returns:
            As `tournament`.
        """
        return self._compete("tune", host, {"server": server, "minutes": minutes, "tries": tries}, load, progress)

    def restore(self, host: str, *, progress: Progress | None = None) -> RunResult:
        """Put back what an interrupted tournament or tuning left.

        Args:
            host: The host.
            progress: Somebody who watches the run.

        Returns:
            The results, with the servers that run again.
        """
        there = replace(self, limit=host)
        return there._run("restore", extra_vars={"tournament_state": "restored"}, progress=progress)

    def _compete(
        self,
        command: str,
        host: str,
        words: Mapping[str, Any],
        load: Mapping[str, Any] | None,
        progress: Progress | None,
    ) -> RunResult:
        there = replace(self, limit=host)
        owner = uuid.uuid4().hex
        variables = {f"tournament_{word}": value for word, value in words.items()} | load_variables(
            load or {}, Path.cwd()
        )
        try:
            result = there._run(command, extra_vars={**variables, "tournament_owner": owner}, progress=progress)
        except (Interrupted, OSError) as stop:
            # What was stopped for the tournament must not stay so because somebody has had enough of it, or closed the
            # terminal. What another tournament holds stays as it is.
            words = {"tournament_state": "restored", "tournament_owner": owner}
            again = f"`llmops tournament {host} --restore`"
            msg = f"interrupted, and the servers of {host} could not all be put back: {again} tries it once more"
            try:
                back = there._run(
                    "restore", extra_vars=words, progress=progress if isinstance(stop, Interrupted) else None
                )
            except Interrupted as twice:
                raise Interrupted(replace(twice.result, errors=(msg,))) from twice
            if not back.ok:
                raise DriverError(msg) from stop
            if not isinstance(stop, Interrupted):
                raise
            raise Interrupted(replace(back, command=command, interrupted=True)) from stop
        if any(one.unreachable for one in result.hosts):
            said = f"run `llmops tournament {host} --restore` when it can be reached again"
            return replace(result, errors=(*result.errors, f"{host} was lost on the way: {said}"))
        return result

    def _run(
        self,
        command: str,
        *,
        check: bool = False,
        diff: bool = False,
        extra_vars: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        watcher = progress or _Silence()
        run = PlaybookRun(
            playbook=f"llmops.serving.{_PLAYBOOKS.get(command, command)}",
            inventory=self._inventory(),
            limit=self.limit,
            check=check,
            diff=diff,
            extra_vars={
                **self.extra_vars,
                **(extra_vars or {}),
                **({"serving_only": list(self.servers)} if self.servers else {}),
            },
            options=self._options(),
            become_password=self.become_password,
            verbosity=self.verbosity,
            environment=self.environment,
            keep_artifacts=Path(self.keep_artifacts).absolute() if self.keep_artifacts else None,
        )
        outcome = run_playbook(
            run,
            on_event=watcher.event,
            on_tick=watcher.tick,
            on_stop=watcher.stopping,
            interrupt=Interrupt(),
        )
        parsed = parse_events(
            outcome.events,
            command=command,
            check=check,
            rc=outcome.rc,
            interrupted=outcome.interrupted,
        )
        result = replace(parsed, seconds=outcome.seconds)
        if result.interrupted:
            raise Interrupted(result)
        _refuse_nothing(result, outcome, self, ", ".join(run.inventory))
        return result

    def _inventory(self) -> tuple[str, ...]:
        given = [self.inventory] if isinstance(self.inventory, str | os.PathLike) else list(self.inventory)
        sources = [os.fspath(source) for source in given]
        if not sources:
            msg = "no inventory: name one, such as inventories/cpu"
            raise UsageError(msg)
        return tuple(source if "," in source else str(_existing(source, "inventory")) for source in sources)

    def _options(self) -> tuple[str, ...]:
        options = ["--forks", str(self.forks)] if self.forks else []
        if self.vault_password_file:
            options += ["--vault-password-file", str(_existing(self.vault_password_file, "vault password file"))]
        for value in self.extra_vars_options:
            if value.startswith("@"):
                value = f"@{_existing(value[1:], 'file of extra variables')}"  # noqa: PLW2901 - the same value, absolute
            options += ["--extra-vars", value]
        return tuple(options)


def _refuse_nothing(result: RunResult, outcome: Outcome, site: Site, where: str) -> None:
    """Turn a run that reached no host, or no server, into the reason why."""
    if not result.hosts:
        said = "\n".join(str(event.get("stdout", "")) for event in outcome.events)
        if "No inventory was parsed" in said:
            msg = f"the inventory {where} cannot be read: {_unparsed(said)}"
            raise UsageError(msg)
        if site.limit and ("no hosts to target" in said or outcome.rc == 0):
            msg = f"no host of the group serving in {where} matches --limit {site.limit}"
            raise UsageError(msg)
        if outcome.rc == 0:
            msg = f"no host in the group serving of {where}: list the hosts that shall serve in this group"
            raise UsageError(msg)
        raise DriverError("\n".join(result.errors))
    # Where only memory was judged, no server was looked at.
    known = {server.name for server in result.servers} | {fit.server for host in result.hosts for fit in host.fits}
    unknown = sorted(set(site.servers) - known)
    if result.ok and unknown:
        msg = f"no server named {', '.join(unknown)} in serving_servers of {where}" + (
            ", nor on its hosts" if result.command == "remove" else ""
        )
        raise UsageError(msg)


def _existing(path: str | os.PathLike[str], what: str) -> Path:
    found = Path(path).expanduser().absolute()
    if not found.exists():
        msg = f"{what} not found: {path}"
        raise UsageError(msg)
    return found


def _unparsed(said: str) -> str:
    """Find why an inventory was not understood: each parser complains, and only one complaint is about its format."""
    prefix = "[WARNING]: Failed to parse inventory with "
    causes = [line.removeprefix(prefix) for line in said.splitlines() if line.startswith(prefix)]
    chosen = next((cause for cause in causes if cause.startswith("'yaml'")), causes[0] if causes else "")
    return chosen.partition(":")[2].strip() or "it is in no format that Ansible knows"
