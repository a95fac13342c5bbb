#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: fetch, verify and remove the models of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model
short_description: Fetch, verify and remove the models of a host
version_added: 0.1.0
description:
  - Makes a list of models complete in the host's model store, in one call.
  - Repositories come by git at a pinned commit, and their weights through the git LFS batch API, straight into their
    place; git-lfs itself is not needed. Single files come over HTTP from the hub's C(resolve) address or from any URL.
  - Several files, and several ranges of one file, come side by side, straight into their place; the disk needs no more
    than the model. Every byte is checked while it arrives (LFS object id, the hub's checksum, or the one given), then
    the file formats are checked. A model is visible under its final name only when it is complete.
  - A run that was interrupted in whatever way leaves what had come, and the next one goes on with it. What it finds
    there is read again, so damage is noticed, and only damaged parts are fetched again.
  - When the manifest of a model matches and its files have their recorded sizes and times, the module asks nobody and
    reads no file.
author:
  - llmops.serving contributors (@llmops-serving)
attributes:
  check_mode:
    description: Asks the hub for sizes and problems, and writes nothing. Works on a host without git.
    support: full
  diff_mode:
    description: Shows name, revision and bytes of the models before and after.
    support: full
  platform:
    description: Runs on Linux hosts.
    platforms: linux
    support: full
options:
  models:
    description:
      - The models, by name.
      - "C(repo): owner and name on the hub, with C(revision)."
      - "C(revision): the pinned commit, all 40 hexadecimal digits; branches and tags are refused, because they move."
      - "C(file): one file of the repository, over HTTP; without it the whole repository comes by git and git LFS. The
        first part of a split GGUF brings the others."
      - "C(include), C(exclude): lists of patterns (C(*.safetensors), C(onnx/*)) of a repository's paths. With
        C(include) exactly the matching files come; without it all but second copies of the weights, other frameworks'
        weights and leftovers of training. What C(exclude) matches never comes."
      - "C(url): any address instead of a repository."
      - "C(sha256): the wanted digest of a single file. Without one the hub's word counts; of a C(url) that has none the
        digest is recorded at the first fetch, and told in a warning."
      - "C(allow_pickle): permit weights in formats that run code when they are loaded (C(.bin), C(.pt), C(.pth),
        C(.ckpt), C(.pkl)); V(false) unless set."
      - "C(task): what the model is for (V(chat), V(embedding), V(rerank), V(classify)); here only its spelling counts."
      - With O(state=absent) only the names count, and values may be empty.
    type: dict
    required: true
  path:
    description: The folder of the model store.
    type: path
    default: /var/lib/llmops/models
  hub_url:
    description:
      - The hub from which O(models) come when they name a repository.
      - Any server with git over HTTP and the LFS batch API will do; set your own where the internet is out of reach.
    type: str
    default: https://huggingface.co
  token:
    description:
      - Secret for gated and private repositories, sent to the host of O(hub_url) only.
      - Written C(user:password) it is sent as basic authentication.
    type: str
    default: ""
  ca_path:
    description: File with the certificates to trust instead of the system's.
    type: path
  ca:
    description: The same as text, PEM. O(ca_path) wins.
    type: str
    default: ""
  verify:
    description: Hash every file that is there; a damaged one is named in a warning and fetched again.
    type: bool
    default: false
  connections:
    description: The most connections at a time. It begins with one for each file, and opens more where they are slow.
    type: int
    default: 16
  peers:
    description:
      - Hosts that have some of the models, as M(llmops.serving.model_share) started them. They are asked first.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name, for messages.
        type: str
        required: true
      urls:
        description: Addresses at which it may be reached, the likeliest first.
        type: list
        elements: str
        required: true
      token:
        description: The secret that it wants to hear.
        type: str
        required: true
      certificate:
        description: The only certificate that is trusted there, PEM.
        type: str
        required: true
      manifests:
        description: What it has, by model; as C(manifest) of M(llmops.serving.model_info) tells.
        type: dict
        required: true
  progress:
    description: A file to write the state of the fetch to, for whoever waits; a job has its own.
    type: path
  job:
    description:
      - A name for the fetch, of letters, digits and hyphens; the action plugin sets it.
      - A fetch that has one and takes longer than two seconds goes on in a process of its own, and the module returns.
        The task asks M(llmops.serving.model_job) how far it has come, prints that now and then, and returns what the
        fetch returned. Nothing of this is seen where a fetch is quick or nothing is to be fetched.
      - Ctrl-C stops the fetch on the host. Where the connection is lost, or the controller dies, the fetch goes on to
        its end; a later run waits for it and shows its progress.
    type: str
  timeout:
    description:
      - Seconds without an answer or a byte after which a connection counts as broken. So does one that brings less than
        64 KiB in twice that time.
    type: int
    default: 30
  state:
    description:
      - Whether the models shall be in the store; V(absent) removes all versions of the named ones, and what is left of
        unfinished fetches. A model that a server uses is not removed.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Have two models in the store
  llmops.serving.model:
    models:
      minilm:
        repo: sentence-transformers/all-MiniLM-L6-v2
        revision: c9745ed1d9f207416be6d2e6f8de32d1f16199bf
        task: embedding
      small:
        repo: Qwen/Qwen2.5-0.5B-Instruct-GGUF
        revision: 9217f5db79a29953eb74d5343926648285ec7e67
        file: qwen2.5-0.5b-instruct-q4_k_m.gguf
    path: /var/lib/llmops/models

- name: Read every byte again, and mend what is damaged
  llmops.serving.model:
    models: "{{ serving_models }}"
    verify: true

- name: Remove a model
  llmops.serving.model:
    models:
      minilm:
    state: absent
"""

RETURN = r"""
models:
  description: The models of the call, by name; after a failure those that are complete.
  returned: always
  type: dict
  contains:
    path:
      description: The folder with the model's files, to be mounted by its server.
      type: str
      sample: /var/lib/llmops/models/minilm/c9745ed1d9f2
    key:
      description: The version's folder name, 12 digits of the commit or of the sha256.
      type: str
      sample: c9745ed1d9f2
    changed:
      description: Whether files were fetched (check mode - would be fetched).
      type: bool
    bytes:
      description: Bytes of all files; in check mode those to fetch, and null when only the fetch will tell.
      type: int
    files:
      description: Paths of the files inside the folder.
      type: list
      elements: str
    seconds:
      description: Wall time of the fetch.
      type: float
    source:
      description: Where the model comes from, never with a secret.
      type: str
    revision:
      description: The pinned commit, empty for a URL.
      type: str
    fetched_bytes:
      description: Bytes that were fetched in this run.
      type: int
    damaged:
      description: Files that were found damaged or missing and fetched again.
      type: list
      elements: str
job:
  description: How far the fetch has come, as M(llmops.serving.model_job) tells it; no task returns this.
  returned: when the fetch goes on
  type: dict
problems:
  description: One line for each problem, with variable, cause and remedy.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._model_job import fetch
from ansible_collections.llmops.serving.plugins.module_utils._model_run import ARGUMENTS, run


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    git: str | None = module.get_bin_path("git")
    if module.params["job"] and not module.check_mode:
        result = fetch(module.params, lambda params: run(params, False, git), hide=module.no_log_values)
    else:
        result = run(module.params, module.check_mode, git)
    for warning in result.pop("warnings"):
        module.warn(warning)
    if result.get("msg"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
