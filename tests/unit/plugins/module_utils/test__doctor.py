# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._doctor import diagnose
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions

# Literal lines of the engines, and words of the cause and of the remedy that follow.
LOGS = [
    ("llama_cpp", ["error: invalid argument: --mlock"], "--mlock", "options"),
    (
        "llama_cpp",
        ["tensor 'blk.0.ffn_down.weight' data is not within the file bounds, model is corrupted or incomplete"],
        "truncated or corrupt",
        "models_verify",
    ),
    ("llama_cpp", ["gguf_init_from_file_impl: invalid magic characters: '<!do', expected 'GGUF'"], "no GGUF", "file"),
    ("llama_cpp", ["llama_model_load: error loading model: unknown model architecture: 'foo'"], "foo", "image"),
    ("infinity", ["│ No such option: --bach-size Did you mean --batch-size? │"], "--bach-size", "options"),
    ("infinity", ["ValueError: No onnx files found for /models/x and revision None"], "ONNX", "engine"),
    ("infinity", ["ValueError: Expected length 2 but got 3"], "3 values for 2 models", "one a model"),
    ("infinity", ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.88 GiB"], "memory", "batch-size"),
    ("infinity", ["HFValidationError: Repo id must be in the form 'repo_name'"], "directory is missing", "verify"),
]


@pytest.mark.parametrize(("engine", "lines", "cause", "remedy"), LOGS)
def test_names_cause_and_remedy(engine: str, lines: list[str], cause: str, remedy: str) -> None:
    log = ["Starting up", *lines, "main: exiting due to model loading error"]
    found = diagnose(log, definitions()[engine]["doctor"])
    assert cause in found.cause
    assert remedy in found.remedy


def test_without_a_rule_the_last_speaking_line_is_the_cause() -> None:
    log = ["loading", "cannot open /x", "Main process exited, code=exited, status=1/FAILURE", "bye"]
    assert diagnose(log, []).cause == "cannot open /x"


def test_an_empty_log_says_so() -> None:
    assert "no log" in diagnose([], []).cause


def test_braces_of_a_remedy_stay() -> None:
    rule = {"pattern": "x", "cause": "c", "remedy": "set options: {batch-size: 8}"}
    assert diagnose(["x"], [rule]).remedy == "set options: {batch-size: 8}"
