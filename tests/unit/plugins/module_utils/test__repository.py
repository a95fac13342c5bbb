# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What apt 2.6 and 3.3 and dnf 4.14 said about repositories made for them; zypper is played from its documentation."""

from __future__ import annotations

import configparser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _repository, _repository_proof
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._repository import conflicting, ensure
from ansible_collections.llmops.serving.plugins.module_utils._repository_proof import (
    check_repository,
    package_problems,
    refusal,
    rpm_versions,
)
from ansible_collections.llmops.serving.plugins.module_utils._repository_spec import (
    BLAMED as NAMES,
)
from ansible_collections.llmops.serving.plugins.module_utils._repository_spec import (
    Repository,
    RepositoryError,
    fetch_key,
    source_text,
)

SAID = Path(__file__).parents[3] / "fixtures/host/repositories"
MIRROR, OTHER = SAID / "mirror.asc", SAID / "other.asc"
FINGERPRINT = "9C533466DBFD5C72F68F4D84514723C7068A1360"
OTHER_FINGERPRINT = "2FC4D120FEEBCE95E73202B114CEAA0148A47342"
BLAMED = {name: f"toolkit_{name}" for name in NAMES}
APT = Repository(
    name="nvidia-container-toolkit",
    manager="apt",
    url="http://mirror.example",
    key_url=MIRROR.as_uri(),
    fingerprint=FINGERPRINT,
    packages=["thing"],
    version="1.20.0-1",
    variables=BLAMED,
)
MADISON = """\
     thing |   1.20.0-1 | http://mirror.example ./ Packages
     thing |   1.19.1-1 | http://mirror.example ./ Packages
"""


@dataclass
class Tools:
    """Plays programs: the first answer whose words are all in the command line."""

    answers: list[tuple[str, Completed]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def run(self, argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        line = " ".join(argv)
        self.lines.append(line)
        for word in argv:
            path = Path(word.rpartition("=")[2])
            for file in [path] if path.is_file() else sorted(path.rglob("*.repo")) if path.is_dir() else []:
                self.files[file.name] = file.read_text(encoding="utf-8")
        for words, answer in self.answers:
            if all(word in line for word in words.split()):
                if check and answer.code:
                    raise CommandError(f"{line}: {answer.err}, within {timeout:g} s")
                return answer
        return Completed(0, "", "")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    played = Tools([("apt-cache madison", Completed(0, MADISON, ""))])
    monkeypatch.setattr(_repository, "run", played.run)
    monkeypatch.setattr(_repository_proof, "run", played.run)
    return played


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host's /etc."""
    for name, path in {
        "APT_KEYS": "apt/keyrings",
        "APT_SOURCES": "apt/sources.list.d",
        "APT_MAIN": "apt/sources.list",
        "RPM_KEYS": "pki/rpm-gpg",
        "DNF_REPOS": "yum.repos.d",
        "ZYPP_REPOS": "zypp/repos.d",
    }.items():
        monkeypatch.setattr(_repository, name, tmp_path / path)
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    return tmp_path


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# -- the key


@pytest.mark.parametrize(
    "written", [FINGERPRINT, FINGERPRINT.lower(), "9C53 3466 DBFD 5C72 F68F  4D84 5147 23C7 068A 1360"]
)
def test_takes_the_wanted_key(written: str) -> None:
    assert fetch_key(APT._replace(fingerprint=written)) == MIRROR.read_text()


def test_takes_only_the_wanted_one_of_several(tmp_path: Path) -> None:
    both = tmp_path / "both.asc"
    both.write_text(OTHER.read_text() + MIRROR.read_text())
    assert fetch_key(APT._replace(key_url=both.as_uri())) == MIRROR.read_text()


KEY_PROBLEMS: list[tuple[dict[str, str], str]] = [
    (
        {"key_url": OTHER.as_uri()},
        f"toolkit_fingerprint: the key at {OTHER.as_uri()} is {OTHER_FINGERPRINT}, not {FINGERPRINT}: correct",
    ),
    (
        {"key_url": "file:///no/such/key"},
        "toolkit_key_url: file:///no/such/key gives no key (No such file or directory",
    ),
    ({"key_url": (SAID / "404.apt-2.6.1.txt").as_uri()}, "is no OpenPGP key (it has neither armour nor packets)"),
    ({"key_url": "ftp://mirror/key"}, "toolkit_key_url: 'ftp://mirror/key' is no address"),
    ({"key_url": "/etc/key"}, "toolkit_key_url: '/etc/key' is no address: write one that begins with https://"),
    (
        {"key_url": "http://127.0.0.1:9/key"},
        "toolkit_key_url: http://127.0.0.1:9/key gives no key (Connection refused)",
    ),
    # A list of sources is for everybody to read, and so is its diff.
    ({"url": "https://me:hunter2@mirror/deb"}, "toolkit_url: the address holds a name or password"),
    ({"key_url": "https://me:hunter2@mirror/key"}, "toolkit_key_url: the address holds a name or password"),
]


@pytest.mark.parametrize(("change", "words"), KEY_PROBLEMS)
def test_refuses_another_key(change: dict[str, str], words: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        fetch_key(APT._replace(**change))
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


# -- what package managers say


UNTRUSTED = "toolkit_fingerprint: http://mirror.example is not signed by 9C533466DBFD5C72F68F4D84514723C7068A1360"
UNREAD = "toolkit_url: http://mirror.example cannot be read"
ANSWERS = [
    ("otherkey.apt-2.6.1", f"{UNTRUSTED} but by 514723C7068A1360: set toolkit_url"),
    ("otherkey.apt-3.3.3", f"{UNTRUSTED} but by {FINGERPRINT}: set toolkit_url"),
    ("badsig.apt-2.6.1", f"{UNTRUSTED} (The following signatures were invalid: BADSIG"),
    ("badsig.apt-3.3.3", f"{UNTRUSTED} (Sub-process /usr/bin/sqv returned an error code (1)"),
    ("unsigned.apt-2.6.1", f"{UNTRUSTED} ("),
    ("unsigned.apt-3.3.3", f"{UNTRUSTED} ("),
    ("404.apt-2.6.1", f"{UNREAD} (404  File not found)"),
    ("404.apt-3.3.3", f"{UNREAD} (404  File not found)"),
    (
        "refused.apt-2.6.1",
        f"{UNREAD} (Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused",
    ),
    ("refused.apt-3.3.3", f"{UNREAD} (Could not connect"),
    ("dns.apt-2.6.1", f"{UNREAD} (Could not resolve 'nosuch.invalid')"),
    ("dns.apt-3.3.3", f"{UNREAD} (Could not resolve 'nosuch.invalid')"),
    ("hash.apt-2.6.1", f"{UNREAD} (File has unexpected size"),
    (
        "otherkey.dnf-4.14.0",
        f"{UNTRUSTED} (Error: Failed to download metadata for repo 'thing': repomd.xml GPG signature",
    ),
    (
        "badsig.dnf-4.14.0",
        f"{UNTRUSTED} (Error: Failed to download metadata for repo 'thing': repomd.xml GPG signature",
    ),
    ("unsigned.dnf-4.14.0", f"{UNTRUSTED} ("),
    ("404.dnf-4.14.0", f"{UNREAD} (Status code: 404 for"),
    ("refused.dnf-4.14.0", f"{UNREAD} (Curl error (7): Couldn't connect to server"),
]


@pytest.mark.parametrize(("name", "words"), ANSWERS)
def test_tells_why_a_package_manager_refuses(tools: Tools, name: str, words: str) -> None:
    said = (SAID / f"{name}.txt").read_text()
    # Where nothing answers, apt only warns.
    code = 0 if name.startswith(("refused.apt", "dns.apt")) else 100
    tools.answers.insert(0, ("apt-get update", Completed(code, said, "")))
    tools.answers.insert(0, ("dnf repoquery", Completed(code, "", said)))
    (problem,) = check_repository(APT._replace(manager=name.partition(".")[2][:3]), MIRROR.read_text())
    assert problem.startswith(words)
    assert "\n" not in problem


def test_every_recorded_answer_is_judged() -> None:
    assert {f"{name}.txt" for name, _words in ANSWERS} == {path.name for path in SAID.glob("*.txt")}


# As apt of Debian 13 says it (NVIDIA/cuda-repo-management issue 39), and gpgv of an expired key.
OTHER_ANSWERS = [
    (
        "E: sqv: Signing key on EB69 is not bound: because: SHA1 is not considered secure since 2026-02-01T00:00:00Z",
        "toolkit_fingerprint: the key 9C533466DBFD5C72F68F4D84514723C7068A1360 vouches for itself by SHA-1",
    ),
    (
        "The following signatures were invalid: EXPKEYSIG 514723C7068A1360 Test\nE: … is not signed.",
        "toolkit_key_url: the key 9C533466DBFD5C72F68F4D84514723C7068A1360 has expired in the copy at",
    ),
    ("Error: Failed to download metadata for repo 'x': repomd.xml GPG signature verification error: Bad GPG signature",
     f"{UNTRUSTED} (Error: Failed to download"),
    ("Errors during downloading metadata:\n  - Curl error (6): Could not resolve", f"{UNREAD} (Curl error (6)"),
    ("", f"{UNREAD} (no message)"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "words"), OTHER_ANSWERS)
def test_tells_other_refusals(said: str, words: str) -> None:
    assert str(refusal(APT, said)).startswith(words)


# -- packages


HAS = {"thing": ["1.20.0-1", "1.19.1-1", "1.18.0-1", "1.17.9-1", "1.17.8-1", "1.17.7-1"], "base": ["1.19.1-1"]}
PACKAGE_PROBLEMS: list[tuple[list[str], str, list[str]]] = [
    (["thing"], "1.20.0-1", []),
    (["thing", "base"], "", []),
    ([], "9-1", []),
    (
        ["thing"],
        "1.20.0",
        [
            (
                "toolkit_version: http://mirror.example has no 1.20.0 of thing: choose one of 1.20.0-1, 1.19.1-1, "
                "1.18.0-1, 1.17.9-1, 1.17.8-1"
            )
        ],
    ),
    (
        ["thing", "base"],
        "9-1",
        ["toolkit_version: http://mirror.example has no 9-1 of thing, base: choose one of 1.19.1-1"],
    ),
    (
        ["nix", "thing", "nux"],
        "1.20.0-1",
        [
            (
                "toolkit_packages: http://mirror.example has no package nix, nux: set toolkit_url to a repository that "
                "has it for this distribution and architecture"
            )
        ],
    ),
]


@pytest.mark.parametrize(("packages", "version", "problems"), PACKAGE_PROBLEMS)
def test_tells_what_a_repository_lacks(packages: list[str], version: str, problems: list[str]) -> None:
    assert package_problems(APT._replace(packages=packages, version=version), HAS) == problems


def test_without_names_of_variables_the_options_are_blamed() -> None:
    (problem,) = package_problems(APT._replace(variables={}, version="9-1"), HAS)
    assert problem.startswith("version: ")


# -- the proof


def test_proves_in_directories_of_its_own(tools: Tools) -> None:
    assert check_repository(APT, MIRROR.read_text()) == []
    update, ask = tools.lines
    assert update.startswith("apt-get update ")
    assert ask.startswith("apt-cache madison ")
    assert ask.endswith(" thing")
    settings = dict(word.split("=") for word in update.split() if "=" in word)
    folder = str(Path(settings["Dir::State"]).parent)
    assert folder.startswith("/")
    for name in ("Dir::Etc::sourcelist", "Dir::State", "Dir::State::status", "Dir::Cache"):
        assert settings[name].startswith(folder)
    assert settings["Dir::Etc::sourceparts"] == settings["Dir::Etc::trustedparts"] == "-"
    assert settings["Dir::Etc::trusted"] == "/dev/null"
    assert f"Signed-By: {folder}/key.asc" in tools.files["it.sources"]
    assert not Path(folder).exists()


def test_dnf_is_asked_in_directories_of_its_own(tools: Tools) -> None:
    offered = "thing|0|1.20.0-1\nthing|0|1.19.1-1\nthing|0|1.20.0-1\n"
    tools.answers.insert(0, ("repoquery", Completed(0, offered, "")))
    dnf = APT._replace(manager="dnf", url="http://mirror.example/$basearch")
    assert check_repository(dnf, MIRROR.read_text()) == []
    (line,) = tools.lines
    for words in ("--setopt=reposdir=", "cachedir=", "-y", ".skip_if_unavailable=0", "thing"):
        assert words in line
    assert "[nvidia-container-toolkit]" in tools.files["it.repo"]


def test_zypper_is_asked_below_a_root_of_its_own(tools: Tools) -> None:
    table = "S | Name  | Type    | Version  | Arch | Repository\n--+---\n  | thing | package | 1.20.0-1 | x86_64 | x\n"
    tools.answers.insert(0, ("search", Completed(0, table, "")))
    assert check_repository(APT._replace(manager="zypper"), MIRROR.read_text()) == []
    assert all("--root" in line for line in tools.lines)
    # That would trust a key which the repository itself hands out.
    assert not any("auto-import" in line for line in tools.lines)
    assert "it.repo" in tools.files


@pytest.mark.parametrize("manager", ["dnf", "zypper"])
def test_refusals_of_others_are_told(tools: Tools, manager: str) -> None:
    tools.answers.insert(0, ("", Completed(1, "", "Curl error (7): Failed to connect")))
    tools.answers.insert(0, ("rpm", Completed(0, "", "")))
    (problem,) = check_repository(APT._replace(manager=manager), MIRROR.read_text())
    assert problem.startswith(f"{UNREAD} (Curl error (7)")


def test_a_program_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(argv: list[str], **_options: Any) -> Completed:
        raise CommandError(f"{argv[0]} is not installed")

    monkeypatch.setattr(_repository_proof, "run", missing)
    assert "cannot be proven (apt-get is not installed)" in check_repository(APT, MIRROR.read_text())[0]


VERSIONS = [
    ("a|0|1.9.0-1\na|0|1.20.0-1\na|0|1.10.1-1\n", {"a": ["1.20.0-1", "1.10.1-1", "1.9.0-1"]}),
    ("a|3|550.54-1.el9\nb|(none)|1-1\nwords\n", {"a": ["3:550.54-1.el9"], "b": ["1-1"]}),
    ("", {}),
]


@pytest.mark.parametrize(("text", "versions"), VERSIONS)
def test_reads_versions_of_rpm(text: str, versions: dict[str, list[str]]) -> None:
    assert rpm_versions(text) == versions


# -- the files


def test_describes_a_flat_repository_for_apt() -> None:
    text = source_text(APT._replace(url="https://m/deb/$(ARCH)"), Path("/k.asc"))
    fields = dict(line.split(": ") for line in text.splitlines()[1:])
    assert fields == {"Types": "deb", "URIs": "https://m/deb/$(ARCH)", "Suites": "/", "Signed-By": "/k.asc"}


def test_describes_a_repository_with_components_for_apt() -> None:
    text = source_text(APT._replace(suite="trixie", components=["main", "contrib"]), Path("/k.asc"))
    assert "Suites: trixie\nComponents: main contrib\n" in text


@pytest.mark.parametrize(
    ("signed", "checks"), [(["metadata", "packages"], "11"), (["metadata"], "10"), (["packages"], "01")]
)
@pytest.mark.parametrize("manager", ["dnf", "zypper"])
def test_describes_a_repository_for_rpm(manager: str, signed: list[str], checks: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(source_text(APT._replace(manager=manager, url="https://m/$basearch", signed=signed), Path("/k")))
    section = parser["nvidia-container-toolkit"]
    assert section["baseurl"] == "https://m/$basearch"
    assert section["gpgkey"] == "file:///k"
    assert section["repo_gpgcheck"] + section["gpgcheck"] == checks
    assert section["enabled"] == "1"


CONFLICTS: list[tuple[str, str, str]] = [
    ("old.list", "deb https://nv/x /\n# deb https://nv/x /\ndeb https://other/ x main\n",
     "# disabled by llmops.serving: deb https://nv/x /\n# deb https://nv/x /\ndeb https://other/ x main\n"),
    ("old.sources", "Types: deb\nURIs: https://nv/x\nSuites: /\n\nTypes: deb\nURIs: https://other\nSuites: x\n",
     "Enabled: no\nTypes: deb\nURIs: https://nv/x\nSuites: /\n\nTypes: deb\nURIs: https://other\nSuites: x\n"),
    ("on.sources", "# NVIDIA\nEnabled: yes\nTypes: deb\nURIs: https://nv/x\n",
     "# NVIDIA\nEnabled: no\nTypes: deb\nURIs: https://nv/x\n"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "before", "after"), CONFLICTS, ids=[row[0] for row in CONFLICTS])
def test_switches_off_what_names_the_same_repository(host: Path, name: str, before: str, after: str) -> None:
    path = host / "apt/sources.list.d" / name
    path.write_text(before)
    (change,) = conflicting(APT, "https://nv/")
    assert (change.path, change.before, change.after) == (path, before, after)
    path.write_text(after)
    assert conflicting(APT, "https://nv/") == []


def test_apts_main_file_may_name_it_too(host: Path) -> None:
    (host / "apt/sources.list").write_text("deb https://nv/x /\n")
    assert [change.path.name for change in conflicting(APT, "https://nv/")] == ["sources.list"]


def test_its_own_file_and_other_repositories_are_no_conflict(host: Path) -> None:
    (host / "apt/sources.list.d/nvidia-container-toolkit.sources").write_text("URIs: https://nv/x\n")
    (host / "apt/sources.list.d/other.list").write_text("deb https://other/ x main\n")
    assert conflicting(APT, "https://nv/") == []
    assert conflicting(APT, "") == []
    assert conflicting(APT._replace(manager="dnf"), "https://") == []


# -- all of it


def test_adds_a_repository_once(host: Path, tools: Tools) -> None:
    (host / "apt/sources.list.d/nvidia-docker.list").write_text("deb https://nv/x /\n")
    key, source = "apt/keyrings/nvidia-container-toolkit.asc", "apt/sources.list.d/nvidia-container-toolkit.sources"
    first = ensure(APT, "present", "https://nv/", check=False)
    assert first["changed"]
    assert [str(Path(path).relative_to(host)) for path in first["files"]] == [
        "apt/sources.list.d/nvidia-docker.list", key, source,
    ]  # fmt: skip
    written = files(host)
    assert written[key] == MIRROR.read_text()
    assert f"Signed-By: {host / key}" in written[source]
    assert [entry["after"] for entry in first["diff"]][1:] == [written[key], written[source]]
    assert tools.lines[-1].startswith(f"apt-get update -q -o Dir::Etc::sourcelist={host / source} ")
    assert "Dir::Etc::sourceparts=-" in tools.lines[-1]
    second = ensure(APT, "present", "https://nv/", check=False)
    assert (second["changed"], second["files"], second["diff"]) == (False, [], [])
    assert files(host) == written


def test_check_mode_proves_and_writes_nothing(host: Path, tools: Tools) -> None:
    before = files(host)
    result = ensure(APT, "present", "", check=True)
    assert result["changed"]
    assert files(host) == before
    assert [line.split()[0] for line in tools.lines] == ["apt-get", "apt-cache"]


@pytest.mark.parametrize("check", [True, False])
def test_nothing_is_written_where_the_proof_fails(host: Path, tools: Tools, check: bool) -> None:
    tools.answers.insert(0, ("apt-get update", Completed(100, (SAID / "404.apt-3.3.3.txt").read_text(), "")))
    with pytest.raises(RepositoryError) as caught:
        ensure(APT, "present", "", check)
    assert caught.value.problems[0].startswith(UNREAD)
    assert files(host) == {}


@pytest.mark.usefixtures("host")
def test_a_key_on_the_host_is_not_fetched_again(tools: Tools) -> None:
    ensure(APT, "present", "", check=False)
    assert not ensure(APT._replace(key_url="file:///gone"), "present", "", check=False)["changed"]
    assert len(tools.lines) == 6


def test_a_key_on_the_host_that_does_not_do_any_more_is_fetched_again(host: Path, tools: Tools) -> None:
    path = host / "apt/keyrings/nvidia-container-toolkit.asc"
    path.parent.mkdir()
    path.write_text(MIRROR.read_text())
    tools.answers.insert(0, ("apt-get update", Completed(100, "invalid: EXPKEYSIG 514723C7068A1360", "")))
    with pytest.raises(RepositoryError, match=r"toolkit_key_url: the key 9C53.* has expired in the copy"):
        ensure(APT, "present", "", check=True)
    assert len([line for line in tools.lines if line.startswith("apt-get update")]) == 2


def test_a_key_file_of_others_is_replaced(host: Path, tools: Tools) -> None:
    path = host / "apt/keyrings/nvidia-container-toolkit.asc"
    path.parent.mkdir()
    path.write_text(OTHER.read_text() + MIRROR.read_text())
    ensure(APT, "present", "", check=False)
    assert path.read_text() == MIRROR.read_text()
    assert tools.lines


def test_removes_a_repository_once(host: Path, tools: Tools) -> None:
    ensure(APT, "present", "", check=False)
    asked = len(tools.lines)
    assert ensure(APT, "absent", "", check=True)["changed"]
    assert ensure(APT, "absent", "", check=False)["changed"]
    assert not ensure(APT, "absent", "", check=False)["changed"]
    assert files(host) == {}
    assert len(tools.lines) == asked


REFRESHES = [
    ("dnf", "dnf -q -y makecache --disablerepo=* --enablerepo=nvidia-container-toolkit", "yum.repos.d"),
    ("zypper", "zypper --non-interactive refresh nvidia-container-toolkit", "zypp/repos.d"),
]


@pytest.mark.parametrize(("manager", "line", "folder"), REFRESHES)
def test_adds_a_repository_of_rpm(host: Path, tools: Tools, manager: str, line: str, folder: str) -> None:
    tools.answers.insert(0, ("repoquery", Completed(0, "thing|0|1.20.0-1\n", "")))
    tools.answers.insert(0, ("search", Completed(0, "S | thing | package | 1.20.0-1 | x86_64 | x\n", "")))
    ensure(APT._replace(manager=manager), "present", "", check=False)
    assert line in tools.lines
    assert sorted(files(host)) == [
        "pki/rpm-gpg/RPM-GPG-KEY-nvidia-container-toolkit", f"{folder}/nvidia-container-toolkit.repo",
    ]  # fmt: skip


def test_a_refresh_that_fails_is_told(host: Path, tools: Tools) -> None:
    tools.answers.insert(0, ("apt-get update -q", Completed(100, "", "E: The lock is held")))
    with pytest.raises(RepositoryError, match=r"toolkit_url: http://mirror\.example was added and cannot be read"):
        ensure(APT, "present", "", check=False)
    assert files(host)


def test_files_are_readable_to_all(host: Path, tools: Tools) -> None:
    ensure(APT, "present", "", check=False)
    assert tools.lines
    for path in host.rglob("nvidia-container-toolkit.*"):
        assert path.stat().st_mode & 0o777 == 0o644
