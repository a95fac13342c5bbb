# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Excerpts are of the programs themselves: llama-server's build 11669, TGI 3.3.7, TEI 1.9.3."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from tools.flag_readers import argparse_actions, clap_source, click_parameters, help_text, in_image
from tools.flag_readers.table import Flag, differences, render, table

# What is added to an argparse parser, and the rows that come of it.
ARGPARSE: list[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = [
    (("--model",), {}, {"--model": {}}),
    (("--max-len", "-ml"), {"type": int}, {"--max-len": {"aliases": ["-ml"]}}),
    (
        ("-q", "--quantization"),
        {"choices": ["awq", None]},
        {"--quantization": {"aliases": ["-q"], "choices": ["awq"]}},
    ),
    (("--attention",), {"choices": ["fp8", "None"]}, {"--attention": {"choices": ["fp8"]}}),
    (("--backend",), {"choices": {"b", "a"}}, {"--backend": {"choices": ["a", "b"]}}),
    (("--eager",), {"action": "store_true"}, {"--eager": {"value": "none"}}),
    (("--level",), {"action": "store_const", "const": 3}, {"--level": {"value": "none"}}),
    (("--name",), {"nargs": "+"}, {"--name": {"value": "many"}}),
    (("--name",), {"nargs": "*"}, {"--name": {"value": "many"}}),
    (("--range",), {"nargs": 2}, {"--range": {"value": "many"}}),
    (("--speculative",), {"nargs": "?"}, {"--speculative": {"value": "optional"}}),
    (("--middleware",), {"action": "append"}, {"--middleware": {"repeat": True}}),
    (
        ("--cache", "-c"),
        {"action": argparse.BooleanOptionalAction},
        {"--cache": {"aliases": ["-c"], "off": "--no-cache", "value": "none"}},
    ),
    # A flag of its own that begins like a negative.
    (("--no-host",), {"action": "store_true"}, {"--no-host": {"value": "none"}}),
    (("-x",), {}, {}),
    (("tag",), {"nargs": "?"}, {}),
    (("--version",), {"action": "version", "version": "1"}, {}),
]


@pytest.mark.parametrize(("names", "options", "rows"), ARGPARSE)
def test_argparse(names: tuple[str, ...], options: dict[str, Any], rows: dict[str, Any]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(*names, **options)
    assert argparse_actions.read(in_image.argparse_actions(parser)) == rows


CLICK: list[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = [
    (("--host",), {"envvar": "`INFINITY_HOST`"}, {"--host": {"env": "INFINITY_HOST"}}),
    (("--host",), {"envvar": ["ONE", "TWO"]}, {"--host": {"env": "ONE"}}),
    (("--model-id",), {"multiple": True}, {"--model-id": {"repeat": True}}),
    (("--dtype",), {"type": click.Choice(["auto", "int8"])}, {"--dtype": {"choices": ["auto", "int8"]}}),
    (("--range",), {"nargs": 2}, {"--range": {"value": "many"}}),
    (("-v", "--verbose"), {"count": True}, {"--verbose": {"aliases": ["-v"], "value": "none"}}),
    (("--compile/--no-compile",), {}, {"--compile": {"off": "--no-compile", "value": "none"}}),
    (
        ("--warmup/--no-warmup",),
        {"multiple": True, "default": [True], "type": bool},
        {"--warmup": {"off": "--no-warmup", "repeat": True, "value": "none"}},
    ),
]


@pytest.mark.parametrize(("names", "options", "rows"), CLICK)
def test_click(names: tuple[str, ...], options: dict[str, Any], rows: dict[str, Any]) -> None:
    command = click.Command("v2", params=[click.Option(names, **options), click.Argument(["tag"])])
    assert click_parameters.read(in_image.click_parameters(command)) == rows


# Lines of llama-server's help, and the rows that come of them.
HELP: list[tuple[str, dict[str, Any]]] = [
    ("-h,    --help, --usage                  print usage and exit\n--version       show version\n", {}),
    (
        (
            "-c,    --ctx-size N                     size of the prompt context (default: 0)\n"
            "                                        (env: LLAMA_ARG_CTX_SIZE)\n"
        ),
        {"--ctx-size": {"aliases": ["-c"], "env": "LLAMA_ARG_CTX_SIZE"}},
    ),
    (
        (
            "-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto')\n"
            "                                        (env: LLAMA_ARG_FLASH_ATTN)\n"
        ),
        {"--flash-attn": {"aliases": ["-fa"], "choices": ["on", "off", "auto"], "env": "LLAMA_ARG_FLASH_ATTN"}},
    ),
    ("--cpu-strict <0|1>                      use strict CPU placement\n", {"--cpu-strict": {"choices": ["0", "1"]}}),
    ("--poll <0...100>                        use polling level\n", {"--poll": {}}),
    (
        "--rope-scaling {none,linear,yarn}       RoPE frequency scaling method\n",
        {"--rope-scaling": {"choices": ["none", "linear", "yarn"]}},
    ),
    # A list of several of them is no closed set.
    ("--spec-type none,draft-simple,ngram-mod\n                 comma-separated list\n", {"--spec-type": {}}),
    (
        (
            "-ctk,  --cache-type-k TYPE              KV cache data type for K\n"
            "                                        allowed values: f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0,\n"
            "                                        q5_1\n"
            "                                        (default: f16)\n"
        ),
        {
            "--cache-type-k": {
                "aliases": ["-ctk"],
                "choices": ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"],
            }
        },
    ),
    ("--swa-full                              use full-size SWA cache\n", {"--swa-full": {"value": "none"}}),
    ("--perf, --no-perf                       timings\n", {"--perf": {"off": "--no-perf", "value": "none"}}),
    (
        "-kvo,  --kv-offload, -nkvo, --no-kv-offload\n                                        whether to\n",
        {"--kv-offload": {"aliases": ["-kvo"], "off": "--no-kv-offload", "off_aliases": ["-nkvo"], "value": "none"}},
    ),
    (
        "--ui,  --webui, --no-ui, --no-webui     whether to enable the Web UI\n",
        {"--ui": {"aliases": ["--webui"], "off": "--no-ui", "off_aliases": ["--no-webui"], "value": "none"}},
    ),
    ("--no-host                               bypass host buffer\n", {"--no-host": {"value": "none"}}),
    (
        (
            "-hf,   -hfr, --hf-repo <user>/<model>[:quant]\n"
            "                                        Hugging Face model repository; to disable, add\n"
            "                                        --no-such-flag\n"
        ),
        {"--hf-repo": {"aliases": ["-hf", "-hfr"]}},
    ),
    (
        "-ot,   --override-tensor <tensor name pattern>=<buffer type>,...\n                   override\n",
        {"--override-tensor": {"aliases": ["-ot"]}},
    ),
    (
        "--spec-draft-type-k, -ctkd, --cache-type-k-draft TYPE\n                             KV cache data type\n",
        {"--spec-draft-type-k": {"aliases": ["-ctkd", "--cache-type-k-draft"]}},
    ),
    (
        "--control-vector-layer-range START END\n                                        layer range\n",
        {"--control-vector-layer-range": {"value": "many"}},
    ),
    ("--fim-qwen-1.5b-default                 use default\n", {"--fim-qwen-1.5b-default": {"value": "none"}}),
    # Named still, refused by the parser.
    ("--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max\n", {}),
    ("----- common params -----\n\nprose about --flags\n", {}),
    ("", {}),
]


@pytest.mark.parametrize(("text", "rows"), HELP)
def test_help(text: str, rows: dict[str, Any]) -> None:
    assert help_text.read(text) == rows


ARGS = """\
#[derive(Debug, Clone)]
struct Other {{ port: u16 }}

/// App Configuration
#[derive(Parser, Redact)]
#[clap(author, version, about, long_about = None)]
struct Args {{
    {fields}
}}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Quantization {{
    /// 4 bit quantization, see
    /// <https://hf.co/models?search=awq>, and more.
    Awq,
    // #[deprecated(since = "1.1.0")]
    BitsandbytesNf4,
    Fp8,
    #[clap(skip)]
    Hidden,
}}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KVCacheDtype {{
    #[clap(name = "fp8_e4m3fn")]
    Fp8e4m3fn,

    #[clap(name = "fp8_e5m2")]
    Fp8e5m2,
}}
"""
FURTHER = """\
#[cfg_attr(feature = "clap", derive(ValueEnum))]
pub enum Pool {
    Cls,
    LastToken,
}

pub enum DType {
    // Float16 is not available on accelerate
    #[cfg(any(
        feature = "python",
        all(feature = "candle", not(feature = "accelerate"))
    ))]
    Float16,
    #[cfg(any(feature = "python", feature = "candle", feature = "ort"))]
    Float32,
    #[cfg(feature = "python")]
    Bfloat16,
    #[cfg(unix)]
    Unknown,
}
"""
# Fields of a struct, and the rows that come of them.
CLAP: list[tuple[str, dict[str, Any]]] = [
    (
        '/// The name, e.g. `gpt2`, [x] or (y\n    #[clap(default_value = "a, b", long, env)]\n    model_id: String,',
        {"--model-id": {"env": "MODEL_ID"}},
    ),
    (
        '#[clap(default_value = "3000", long, short, env)]\n    port: u16,',
        {"--port": {"aliases": ["-p"], "env": "PORT"}},
    ),
    # Whichever flag that means.
    (
        "#[clap(long, short, env)]\n    port: u16,\n    #[clap(long, short, env)]\n    prometheus_port: u16,",
        {"--port": {"env": "PORT"}, "--prometheus-port": {"env": "PROMETHEUS_PORT"}},
    ),
    ("#[clap(long, env)]\n    json_output: bool,", {"--json-output": {"env": "JSON_OUTPUT", "value": "none"}}),
    ("#[clap(long, short, action)]\n    env: bool,", {"--env": {"aliases": ["-e"], "value": "none"}}),
    ("#[clap(long, env)]\n    sharded: Option<bool>,", {"--sharded": {"choices": ["true", "false"], "env": "SHARDED"}}),
    (
        (
            '#[clap(long, env, default_value = "true", num_args = 0..=1, default_missing_value = "true")]\n'
            "    auto_truncate: bool,"
        ),
        {"--auto-truncate": {"choices": ["true", "false"], "env": "AUTO_TRUNCATE", "value": "optional"}},
    ),
    (
        "#[clap(long, env, value_delimiter = ',')]\n    cuda_graphs: Option<Vec<usize>>,",
        {"--cuda-graphs": {"env": "CUDA_GRAPHS", "repeat": True}},
    ),
    ("#[clap(long, num_args = 1..)]\n    names: Vec<String>,", {"--names": {"repeat": True, "value": "many"}}),
    (
        "#[clap(long, env, value_enum)]\n    quantize: Option<Quantization>,",
        {"--quantize": {"choices": ["awq", "bitsandbytes-nf4", "fp8"], "env": "QUANTIZE"}},
    ),
    (
        "#[clap(long, value_enum)]\n    kv_cache_dtype: Option<KVCacheDtype>,",
        {"--kv-cache-dtype": {"choices": ["fp8_e4m3fn", "fp8_e5m2"]}},
    ),
    (
        "#[clap(long, value_enum)]\n    pooling: Option<text_embeddings_backend::Pool>,",
        {"--pooling": {"choices": ["cls", "last-token"]}},
    ),
    ("#[clap(long, value_enum)]\n    dtype: Option<DType>,", {"--dtype": {"choices": ["float16", "float32"]}}),
    (
        "#[clap(long, env, hide = true)]\n    #[redact(partial)]\n    hf_token: Option<String>,",
        {"--hf-token": {"env": "HF_TOKEN"}},
    ),
    (
        '#[arg(long = "name", short = \'n\', env = "THE_NAME")]\n    pub given: String,',
        {"--name": {"aliases": ["-n"], "env": "THE_NAME"}},
    ),
    ("#[clap(env)]\n    positional: String,", {}),
]


@pytest.mark.parametrize(("fields", "rows"), CLAP)
def test_clap(fields: str, rows: dict[str, Any]) -> None:
    assert clap_source.read([ARGS.format(fields=fields), FURTHER], ["candle", "ort"]) == rows


def test_source_without_a_parser_is_refused() -> None:
    with pytest.raises(ValueError, match="no struct derives"):
        clap_source.read(["struct Args {\n    port: u16,\n}\n"])


def test_a_table_has_one_sorted_line_a_flag() -> None:
    rows = table(
        [Flag(["--b", "-b"]), Flag(["--a"], choices=["ü"], value="none"), Flag(["-c"]), Flag(["--help", "-h"])]
    )
    text = render("PyPI x", "1.2", rows)
    assert text == (
        '{\n  "source": "PyPI x",\n  "version": "1.2",\n  "flags": {\n'
        '    "--a": {"choices": ["ü"], "value": "none"},\n'
        '    "--b": {"aliases": ["-b"]}\n'
        "  }\n}\n"
    )
    assert json.loads(text)["flags"] == rows


def test_tells_what_differs() -> None:
    old = {"--gone": {}, "--same": {"env": "X"}, "--other": {"value": "none"}}
    new = {"--new": {}, "--same": {"env": "X"}, "--other": {"choices": ["a"]}}
    assert list(differences(old, new)) == [
        "added --new",
        "removed --gone",
        'changed --other: choices: null -> ["a"], value: "none" -> null',
    ]


CODE = "import argparse\nprint('noise')\nparser = argparse.ArgumentParser()\nparser.add_argument('--x', nargs='+')\n"


def run_as_in_an_image(packages: list[str]) -> subprocess.CompletedProcess[str]:
    task = json.dumps({"kind": "argparse", "code": CODE, "packages": packages})
    program = Path(in_image.__file__).read_text(encoding="utf-8")
    return subprocess.run([sys.executable, "-", task], input=program, capture_output=True, text=True, check=False)  # noqa: S603  this Python


def test_in_the_image_only_the_answer_goes_to_stdout() -> None:
    answer = json.loads(run_as_in_an_image(["no-such-package", "pytest"]).stdout)
    assert (answer["package"], answer["version"]) == ("pytest", pytest.__version__)
    assert answer["parameters"][1] == {"spellings": ["--x"], "nargs": "+", "kind": "_StoreAction", "choices": None}


def test_in_the_image_a_missing_package_is_told() -> None:
    done = run_as_in_an_image(["no-such-package"])
    assert done.returncode == 1
    assert "none of these packages is in the image: no-such-package" in done.stderr
