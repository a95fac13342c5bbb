# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of fetching: the network, the hub, its files, its certificates, and the token for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from llmops_serving.lab import Lab, pki
from llmops_serving.lab.state import Paths
from tests.faults.bench import LARGE, LARGE_FILE, STORE, large_model, large_size, model
from tests.faults.network import proxied_hub
from tests.store.faults import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.bench import Bench
    from tests.faults.runs import Run
    from tests.store.faults import Gate
    from tests.store.proxy import Proxy

VECTORS = {
    "name": "vectors",
    "engine": "llama_cpp",
    "model": LARGE,
    "port": 8002,
    "context_length": 512,
    "gate": {"embedding": {"dimension": 384}},
}
#: The most that may come twice, as a share of the whole.
TWICE = 0.05
#: What a preflight reads of a GGUF to know its shape: 1 MiB, then 4 more.
HEAD = 5 << 20
WRONG = "hf_wrongWrongWrongWrong"


def download_interrupted(bench: Bench) -> None:
    """Killed at half of the weights, cut off at three quarters: the third run continues, and serves it."""
    before = bench.host.look()
    with proxied_hub(bench.host.name) as proxy:
        want = bench.variables(VECTORS, models=large_model()) | {"serving_hub_url": proxy.url("hub")}
        gate = proxy.gate("cdn", large_size() // 2)
        run = bench.site.start(want)
        _reaches(run, gate)
        jobs = bench.host.run("cat /run/llmops-jobs/*/job.json")
        bench.host.run(f"kill -KILL -- -{json.loads(jobs)['pid']}")
        gate.cut()
        run.told().failed("run again, and it goes on where it was")
        proxy.ungate()
        _only_a_part(bench)
        bench.host.look().must_be_untouched_since(before)

        gate = proxy.gate("cdn", large_size() // 4)
        run = bench.site.start(want)
        _reaches(run, gate)
        gate.cut()
        run.told().failed(f"serving_models\\['{LARGE}'\\]|serving_hub_url", "no answer|truncated")
        proxy.ungate()
        _only_a_part(bench)
        bench.host.look().must_be_untouched_since(before)

        bench.site.apply(want).went_well(changed=True)
        _hardly_twice(proxy, runs=3)
    bench.host.look("vectors").must_serve()
    bench.host.look().must_be_untouched_since(before)
    bench.changes_nothing(bench.variables(VECTORS, models=large_model()))
    bench.site.start(
        bench.variables(VECTORS, models=large_model()), "--server", "vectors", command="remove"
    ).told().went_well()
    bench.forget_model(LARGE)
    bench.changes_nothing(bench.variables())


def file_corrupt(bench: Bench) -> None:
    """The hub sends other bytes than it announces, or fewer: found before the engine sees them."""
    for file, says in (("corrupt.gguf", "sha256"), ("truncated.gguf", "truncated|bytes")):
        worse = bench.variables(models={"worse": model("lab/faults", file)}, model="worse")
        bench.refused(worse, r"serving_models\['worse'\]", says)
        assert not [path for path in bench.host.look().store if path.startswith("worse/")]
    bench.changes_nothing(bench.variables())


def token_wrong(bench: Bench) -> None:
    """A gated repository, a wrong token, a wrong key: one refusal each, which names the variable and not the secret."""
    with proxied_hub(bench.host.name) as proxy:
        gated = bench.variables(models={"gated": model("lab/gated", "tiny-chat.gguf")}, model="gated")
        gated["serving_hub_url"] = proxy.url("hub")
        for token in ("", WRONG):
            proxy.forget()
            told = bench.refused(gated | {"serving_hub_token": token}, "lab/gated", "serving_hub_token")
            assert WRONG not in told.text
            assert proxy.requests("", "cdn") == []
            assert len([one for one in proxy.requests() if one.status == 401]) <= 2
    status = "curl -s -o /dev/null -w %{http_code} http://127.0.0.1:8001/v1/models"
    assert bench.host.run(f"{status} -H 'Authorization: Bearer {WRONG}'") == "401"
    assert bench.host.run(status) == "401"
    bench.refused(bench.variables(api_key=[""]), r"serving_servers\['chat'\]\.api_key")
    assert bench.key not in bench.changes_nothing(bench.variables()).text


def hub_busy(bench: Bench) -> None:
    """The hub and the objects' host ask for patience: they get it, and nothing comes twice."""
    before = bench.host.look()
    with proxied_hub(bench.host.name) as proxy:
        want = bench.variables(models=large_model()) | {"serving_hub_url": proxy.url("hub")}
        soon = {"Retry-After": "1"}
        busy = [
            # To whoever looks before anything is changed, who does not wait as long as the fetch.
            proxy.add(Rule("hub", "/resolve/", status=429, headers=soon, times=1)),
            proxy.add(Rule("hub", "/resolve/", status=503, headers=soon, times=1, after=1)),
        ]
        gate = proxy.gate("cdn", large_size() // 2)
        run = bench.site.start(want)
        _reaches(run, gate)
        busy += [
            proxy.add(Rule("hub", "/resolve/", status=503, headers=soon, times=2)),
            proxy.add(Rule("cdn", status=503, headers=soon, times=2)),
            proxy.add(Rule("cdn", status=429, headers={"RateLimit": '"resolvers";r=0;t=1'}, times=2, after=1)),
        ]
        # The connections break, and the addresses are no more good, so that all must ask again, the hub as well.
        proxy.sign()
        gate.cut()
        proxy.ungate()
        run.told().went_well(changed=True)
        assert [rule.times for rule in busy] == [0] * len(busy), "not all of it was met"
        _hardly_twice(proxy)
    _whole(bench)
    bench.host.look().must_be_untouched_since(before)
    bench.changes_nothing(bench.variables(models=large_model()))
    bench.forget_model(LARGE)


def address_expires(bench: Bench) -> None:
    """Objects come from addresses that expire in the middle: asked for anew, and the token stays at the hub."""
    before = bench.host.look()
    with proxied_hub(bench.host.name) as proxy:
        proxy.sign()
        want = bench.variables(models=large_model())
        want |= {"serving_hub_url": proxy.url("hub"), "serving_hub_token": WRONG}
        gate = proxy.gate("cdn", large_size() // 2)
        run = bench.site.start(want)
        _reaches(run, gate)
        asked = len(proxy.requests("/resolve/", "hub"))
        proxy.expire()
        # Those that are open break as well, so that all must ask again.
        gate.cut()
        proxy.ungate()
        run.told().went_well(changed=True)
        assert len(proxy.requests("/resolve/", "hub")) > asked
        assert any(one.status == 403 for one in proxy.requests("", "cdn"))
        assert all("authorization" not in one.headers for one in proxy.requests("", "cdn"))
        _hardly_twice(proxy)
    _whole(bench)
    bench.host.look().must_be_untouched_since(before)
    bench.changes_nothing(bench.variables(models=large_model()))
    bench.forget_model(LARGE)


def token_expires(bench: Bench) -> None:
    """The token ends in the middle of a fetch: told with its variable, kept what has come, finished with a new one."""
    before = bench.host.look()
    with proxied_hub(bench.host.name) as proxy:
        proxy.sign()
        want = bench.variables(models=large_model()) | {"serving_hub_url": proxy.url("hub")}
        gate = proxy.gate("cdn", large_size() // 2)
        run = bench.site.start(want | {"serving_hub_token": WRONG})
        _reaches(run, gate)
        proxy.expire()
        rule = proxy.add(Rule("hub", "/resolve/", status=401))
        gate.cut()
        proxy.ungate()
        told = run.told().failed("serving_hub_token", LARGE)
        assert WRONG not in told.text
        _only_a_part(bench)
        bench.host.look().must_be_untouched_since(before)
        rule.times = 0
        bench.site.apply(want | {"serving_hub_token": "hf_ofToday"}).went_well(changed=True)
        _hardly_twice(proxy, runs=2)
    _whole(bench)
    bench.changes_nothing(bench.variables(models=large_model()))
    bench.forget_model(LARGE)


def certificate_refused(bench: Bench) -> None:
    """A hub of another authority, and one whose certificate is not valid yet, as for a clock that is behind."""
    folder = bench.site.folder.parent / "other-authority"
    stranger = Paths(folder)
    stranger.make()
    pki.ensure_secrets(stranger)
    names = ["localhost", "127.0.0.1"]
    cases = (
        (pki.ensure_certificate(stranger, "fronts", names), "is not trusted", "serving_ca"),
        (_certificate_of_later(folder, names), "not yet valid", "clock"),
    )
    for certificate, says, remedy in cases:
        with proxied_hub(bench.host.name, certificate) as proxy:
            want = bench.variables(models=large_model()) | {"serving_hub_url": proxy.url("hub")}
            bench.refused(want, says, remedy)
            assert proxy.requests() == [], "it was asked all the same"
    shutil.rmtree(folder)
    bench.changes_nothing(bench.variables())


# -- parts of them -----------------------------------------------------------------------------------------------------


def _reaches(run: Run, gate: Gate) -> None:
    """Wait until the gate holds what a run still wants."""
    while not gate.held.wait(0.05):
        assert not run.ended, f"it ended before {gate.limit} bytes: {run.told().text[-3000:]}"


def _hardly_twice(proxy: Proxy, runs: int = 1) -> None:
    """Of the second model all has come, and hardly anything again, besides what each preflight reads of its head."""
    most = large_size() * (1 + TWICE) + runs * HEAD
    assert large_size() <= proxy.sent() <= most, f"{proxy.sent()} bytes were sent of {large_size()}"


def _only_a_part(bench: Bench) -> None:
    """Something waits for the next run, and nothing is there under the model's name."""
    store = bench.host.look().store
    assert [path for path in store if path.startswith(".partial/")], f"nothing was kept: {sorted(store)}"
    assert not [path for path in store if path.startswith(f"{LARGE}/")], "it shows before it is complete"


def _whole(bench: Bench) -> None:
    """The second model is there, right, and nothing else waits."""
    store = bench.host.look().store
    facts = Lab().paths.load().repos["lab/minilm-gguf"].files[LARGE_FILE]
    assert [digest for path, digest in store.items() if path.startswith(f"{LARGE}/")] == [facts.sha256]
    assert not [path for path in store if path.startswith(".partial/")]
    assert bench.host.run(f"ls {STORE}/.partial") == ""


def _certificate_of_later(folder: Path, names: list[str]) -> tuple[Path, Path]:
    """Have the lab's own authority sign a certificate that begins in years to come."""
    lab = Lab().paths
    _good, key = pki.ensure_certificate(Paths(folder), "later", names)
    settings = {
        "database": "index.txt",
        "new_certs_dir": ".",
        "serial": "serial",
        "default_md": "sha256",
        "policy": "any",
        "x509_extensions": "extensions",
        "unique_subject": "no",
    }
    text = "[ca]\ndefault_ca=own\n[own]\n" + "".join(f"{name}={value}\n" for name, value in settings.items())
    text += "[any]\ncommonName=supplied\n[extensions]\n" + (folder / "pki/later.ext").read_text(encoding="ascii")
    (folder / "ca.cnf").write_text(text, encoding="ascii")
    (folder / "index.txt").write_text("", encoding="ascii")
    (folder / "serial").write_text("1000\n", encoding="ascii")
    out = folder / "later.crt"
    words: list[Any] = ["openssl", "ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "pki/later.csr", "-out", out]
    words += ["-cert", lab.ca_cert, "-keyfile", lab.pki / "ca.key"]
    words += ["-startdate", "20900101000000Z", "-enddate", "20910101000000Z"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)  # noqa: S603 - our own words
    return out, key
