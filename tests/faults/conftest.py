# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of the lab that serves, for one fault after the other; and the table of how they went."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving.lab import Lab, LabError
from tests.faults.bench import Bench
from tests.faults.fault_host import FaultHost
from tests.faults.runs import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "faults"
OUTCOMES = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "core: of the faults, those that `make test` runs as well")
    config.stash[OUTCOMES] = {}


@pytest.fixture(scope="session")
def fault_host(request: pytest.FixtureRequest) -> Iterator[FaultHost]:
    """Boot a host; remove it afterwards."""
    lab, name = Lab(), request.config.getoption("--keep-host")
    if name:
        lab.create_host(name)
        yield FaultHost(name)
        return
    with contextlib.suppress(LabError):
        lab.destroy_host(NAME)
    lab.create_host(NAME)
    yield FaultHost(NAME)
    lab.destroy_host(NAME)


@pytest.fixture(scope="session")
def first_served(fault_host: FaultHost, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Let the host serve for the first time."""
    folder = tmp_path_factory.mktemp("runs")
    bench = Bench(fault_host, Site(fault_host.name, folder))
    bench.served()
    return bench


@pytest.fixture
def bench(first_served: Bench) -> Iterator[Bench]:
    """Give the host as it served before any fault, and leave nothing of a fault behind."""
    first_served.tidy()
    try:
        first_served.host.look().must_serve().must_run("--ctx-size 512", "/models/tiny-chat/")
    except AssertionError:
        first_served.served()
    yield first_served
    first_served.host.thaw()
    first_served.site.end()


@pytest.fixture
def interrupted(first_served: Bench) -> Iterator[Bench]:
    """Give the host as the change before has left it: serving, with these words or those."""
    try:
        first_served.host.look().must_serve()
    except AssertionError:
        first_served.served()
    yield first_served
    first_served.host.thaw()
    first_served.site.end()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-host", metavar="NAME", help="use that host of the lab, and leave it there")
    parser.addoption("--keep-logs", default="", help="a folder for what engines said (test_doctor.py)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if getattr(item, "originalname", "") == "test_fault" and (report.when == "call" or report.failed):
        case = item.callspec.params["case"]
        item.config.stash[OUTCOMES][f"{case['number']:2d}  {case['fault']}"] = report.outcome
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes = config.stash[OUTCOMES]
    if not outcomes:
        return
    terminalreporter.section("faults")
    for name, outcome in sorted(outcomes.items()):
        terminalreporter.write_line(f"{name:<48}{outcome}")
    good = sum(outcome == "passed" for outcome in outcomes.values())
    terminalreporter.write_line(f"{good} of {len(outcomes)}")
