# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command from end to end: the real ansible-runner and ansible-playbook, and a made-up collection."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llmops_serving import Interrupted, Site, UsageError, cli
from llmops_serving.runner import Interrupt, descendants

SECRET = "sk-very-secret"  # noqa: S105 - made up


def leftovers(driver: Any) -> list[Path]:
    return list((driver.folder / "scratch").glob("llmops-*"))


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def test_apply_shows_progress_and_a_table_and_leaves_nothing_behind(driver: Any) -> None:
    model = {"changed": True, "bytes": 10, "seconds": 0.5}
    inventory = driver.inventory(driver.good, serving_models={"tiny-chat": model}, serving_fake_forgiven=True)
    # A relative path, from another folder than the collection's: the inventory is found where the user is.
    done = driver.run("apply", "-i", inventory.name)

    assert done.returncode == 0, done.stderr
    assert "box  changed  Fetch the models" in done.stderr
    assert "box  changed  Run the servers (chat)" in done.stderr
    assert "The capital of France is Paris." in done.stdout
    assert "done: 1 host, 1 server, 1 of 1 probe good, 2 changes" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    assert not leftovers(driver)


def test_json_is_one_document_and_the_rest_goes_to_stderr(driver: Any) -> None:
    artifacts = driver.folder / "kept"
    words = ("--json", "--server", "chat", "-e", "serving_models={}", "--keep-artifacts", str(artifacts))
    done = driver.run("apply", "-i", str(driver.inventory(driver.unchanged, driver.bad)), *words)

    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["changed"]) == (0, True, False)
    assert [server["name"] for server in document["hosts"][0]["servers"]] == ["chat"], "the others were left out"
    assert "box  ok       Run the servers (chat)" in done.stderr
    assert SECRET not in done.stdout
    assert artifacts.stat().st_mode & 0o777 == 0o700
    assert list(artifacts.glob("site-*/job_events/*.json"))


def test_a_failed_server_is_exit_code_1_and_names_check_cause_and_remedy(driver: Any) -> None:
    done = driver.run("apply", "-i", str(driver.inventory(driver.good, driver.bad)))

    assert done.returncode == 1
    for said in ("box embed failed", "embedding.constant", "pick another model in serving_models", "line two"):
        assert said in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_a_plan_that_would_change_something_is_exit_code_3(driver: Any) -> None:
    done = driver.run("plan", "-i", str(driver.inventory(driver.good)))

    assert done.returncode == 3
    assert "box would change:\n  Run the servers (chat)" in done.stdout


def test_the_api_returns_what_happened(driver: Any, monkeypatch: pytest.MonkeyPatch, collection: Path) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(collection))
    problems = ["serving_servers['chat'].port: 8001 is taken: choose another", "disk: full: free 1 GiB"]
    result = Site(driver.inventory(driver.good), extra_vars={"serving_fake_problems": problems}).apply(check=True)

    assert (result.ok, result.exit_code, result.servers) == (False, 1, ())
    assert result.hosts[0].problems == tuple(problems)
    assert result.hosts[0].error is None
    assert 0 < result.seconds < 60


def test_verify_asks_and_changes_nothing(driver: Any) -> None:
    done = driver.run("verify", "--json", "-i", str(driver.inventory(driver.unchanged)))

    document = json.loads(done.stdout)
    assert (done.returncode, document["changed"]) == (0, False)
    assert document["hosts"][0]["servers"][0]["probes"][0]["sample"] == "The capital of France is Paris."


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_stops_ansible_with_all_its_workers(driver: Any, signals: int) -> None:
    mark = driver.folder / "mark"
    inventory = driver.inventory({**driver.good, "touch": str(mark), "sleep": 50})
    process = driver.start("apply", "-i", str(inventory))
    wait_for(mark)
    below = descendants(process.pid)
    assert below
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = process.communicate(timeout=15)

    assert process.returncode == 130
    assert "stopping" in err
    assert "interrupted: 1 host" in out
    assert not leftovers(driver)
    assert not [pid for pid in below if alive(pid)], "a worker goes on in the dark"


def alive(pid: int) -> bool:
    # A process that ended but was not yet waited for is as good as gone.
    for _ in range(20):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state == "Z":
            return False
        time.sleep(0.1)
    return True


def test_an_interrupt_is_a_keyboard_interrupt_with_results(
    driver: Any, monkeypatch: pytest.MonkeyPatch, collection: Path
) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(collection))
    mark = driver.folder / "mark"
    inventory = driver.inventory({**driver.good, "touch": str(mark), "sleep": 50})

    def interrupt() -> None:
        wait_for(mark)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(Interrupted) as caught:
        Site(inventory).apply()

    assert caught.value.result.interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "the script has its handler back"


def test_an_error_of_the_watcher_stops_the_run_and_is_raised(
    driver: Any, monkeypatch: pytest.MonkeyPatch, collection: Path
) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(collection))

    class Broken:
        def event(self, _event: object) -> None:
            raise ZeroDivisionError

        def tick(self) -> None: ...

        def stopping(self) -> None: ...

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        Site(driver.inventory({**driver.good, "sleep": 50})).apply(progress=Broken())
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "required: COMMAND"),
        (("fly",), "invalid choice: 'fly'"),
        (("apply",), "required: -i/--inventory"),
        (("verify", "-i", "x", "--check"), "unrecognized arguments: --check"),
        (("apply", "-i", "x", "--forks", "many"), "invalid int value: 'many'"),
        (("lab",), "required: ACTION"),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)

    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("apply", "-i", "nowhere.yml"), "llmops: inventory not found: nowhere.yml\n"),
        (("plan", "-i", "h,", "-e", "@nowhere.yml"), "llmops: file of extra variables not found: nowhere.yml\n"),
        (("plan", "-i", "h,", "--vault-password-file", "no"), "llmops: vault password file not found: no\n"),
    ],
)
def test_missing_files_are_told_before_anything_runs(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert capsys.readouterr().err == said


def test_no_inventory_at_all() -> None:
    with pytest.raises(UsageError, match="name one"):
        Site([]).plan()


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("serving: {hosts: [", (), "cannot be read: YAML parsing failed"),
        ("other: {hosts: {box: }}", (), "no host in the group serving of"),
        ("serving: {hosts: {box: }}", ("--limit", "nix"), "matches --limit nix"),
    ],
)
def test_inventories_that_lead_nowhere_are_one_line(
    driver: Any, content: str, words: tuple[str, ...], said: str
) -> None:
    (driver.folder / "hosts.yml").write_text(content)
    done = driver.run("apply", "-i", "hosts.yml", *words)

    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("llmops: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert done.stdout == ""


def test_a_server_that_nobody_knows(driver: Any) -> None:
    done = driver.run("apply", "-i", str(driver.inventory(driver.unchanged)), "--server", "nix")

    assert done.returncode == 2
    assert "no server named nix in serving_servers" in done.stderr


def test_the_password_of_sudo_goes_to_ansible_alone(driver: Any) -> None:
    code = (
        "import getpass, sys; getpass.getpass = lambda _prompt: 'pa55'\n"
        "from llmops_serving.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    artifacts = driver.folder / "kept"
    words = ("apply", "-K", "-i", str(driver.inventory(driver.unchanged)), "--keep-artifacts", str(artifacts))
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        [sys.executable, "-c", code, *words],
        cwd=driver.folder,
        env=driver.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    kept = [file.read_text() for file in artifacts.rglob("*") if file.is_file()]
    assert any("--ask-become-pass" in text for text in kept)
    assert not any("pa55" in text for text in [*kept, done.stdout, done.stderr])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])

    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("llmops 0.")


def test_requests_from_another_thread_need_no_signals() -> None:
    interrupt = Interrupt()
    seen = []

    def use() -> None:
        with interrupt.on_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert seen == [signal.getsignal(signal.SIGINT)]
