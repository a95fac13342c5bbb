#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a host has for serving models."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Tell what a host has for serving models
version_added: 0.1.0
description:
  - Reads distribution, processors, memory, disk space, systemd, Docker, NVIDIA GPUs and listening ports of a host.
  - Needs nothing but Python on the host, takes a fraction of a second and changes nothing.
  - A stopped Docker stays stopped.
author:
  - llmops.serving contributors (@llmops-serving)
options:
  model_dir:
    description:
      - The directory in which the models lie or will lie. Its disk space is told.
    type: path
    default: /var/lib/llmops/models
  paths:
    description:
      - Further paths whose disk space is told. They need not exist.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Runs the same in check mode, because it changes nothing.
    support: full
  diff_mode:
    description: Shows no difference, because it changes nothing.
    support: none
notes:
  - As another user than root, the owners of other users' ports are unknown (V(null)).
"""

EXAMPLES = r"""
- name: Look at the host
  llmops.serving.host_info:
  register: asked

- name: Say who holds port 8000
  ansible.builtin.debug:
    msg: "{{ asked.host.ports | selectattr('port', 'equalto', 8000) | map(attribute='process') | list }}"
"""

RETURN = r"""
host:
  description: The facts.
  returned: success
  type: dict
  contains:
    hostname:
      description: The kernel's host name.
      type: str
      sample: lab1
    distribution:
      description:
        - From os-release. V(family) is V(debian), V(redhat) or V(other).
        - V(supported) tells whether this collection knows how to install packages on it.
      type: dict
      sample:
        id: debian
        id_like: []
        name: Debian GNU/Linux 12 (bookworm)
        version: "12"
        codename: bookworm
        family: debian
        supported: true
    kernel:
      description: The kernel's release.
      type: str
      sample: 6.1.0-28-amd64
    architecture:
      description: The machine's architecture as uname tells it.
      type: str
      sample: x86_64
    python:
      description: The version of the Python that runs modules.
      type: str
      sample: 3.11.2
    cores:
      description: The number of processors that are online.
      type: int
      sample: 16
    cpu:
      description: >-
        The processor's name, its clock in MHz now (null if unknown) and the governor of its frequency, if any.
      type: dict
      sample: {model: AMD EPYC 7763 64-Core Processor, mhz: 2445.4, governor: ""}
    memory:
      description: The memory in bytes.
      type: dict
      sample:
        total: 33501757440
        available: 30064771072
    disk:
      description:
        - The space in bytes for Docker's root directory, O(model_dir) and each of O(paths).
        - Where the path does not exist yet, its nearest existing parent (V(measured)).
      type: dict
      sample:
        /var/lib/docker: {total: 105089261568, free: 90194313216, mount: /, measured: /var/lib}
    systemd:
      description: Whether systemd runs the host, and its version.
      type: dict
      sample: {running: true, version: 252}
    docker:
      description: What is known about Docker.
      type: dict
      contains:
        installed:
          description: Whether the daemon's program is there.
          type: bool
        cli:
          description: Whether the docker command is there.
          type: bool
        package:
          description: The Debian package it comes from, V(snap), or null when unknown.
          type: str
        version:
          description: The daemon's version.
          type: str
        api:
          description: The version of its API, when it answers.
          type: str
        running:
          description: Whether the daemon answers.
          type: bool
        service_active:
          description: Whether docker.service is active.
          type: bool
        service_enabled:
          description: Whether docker.service starts with the host.
          type: bool
        service_state:
          description: The active state that systemd tells.
          type: str
        socket:
          description: The daemon's socket.
          type: str
        root_dir:
          description: Where Docker keeps images and containers.
          type: str
        users:
          description: The members of the group docker.
          type: list
          elements: str
        ways:
          description:
            - How a container can get a GPU, best first. Any of V(cdi), V(runtime), V(gpus).
          type: list
          elements: str
        daemon_json:
          description: The text of /etc/docker/daemon.json, null without one.
          type: str
    git:
      description: Whether git is installed.
      type: bool
    gpus:
      description:
        - The NVIDIA GPUs, with the processes on them and the MIG devices they are divided into. What nobody tells is
          null. Memory in bytes.
        - V(lost) tells that the driver answers for others and not for this one, or says itself that it cannot reach
          it.
      type: list
      elements: dict
      sample:
        - index: 0
          pci: "0000:3b:00.0"
          vendor: "0x10de"
          device: "0x2330"
          name: NVIDIA H100 80GB HBM3
          driver: nvidia
          driver_version: 550.163.01
          uuid: GPU-01000100-0000-0000-0000-000000000000
          memory_total: 85899345920
          memory_free: 84825604096
          compute_capability: "9.0"
          mig: false
          mig_devices: []
          processes:
            - {pid: 4711, name: python3, memory: 1073741824, server: chat}
          lost: false
    nvidia:
      description:
        - The driver. V(module) is the version of the loaded kernel module, V(library) that of its library on disk.
          They
          differ after an upgrade without a restart.
        - V(module_installed) tells whether the running kernel has the module on disk, V(nouveau) whether the kernel's
          own driver is loaded or holds a GPU, V(wsl) whether this is a Linux inside Windows.
        - V(smi) tells whether nvidia-smi is installed, whether it told of a GPU, its exit status (null when it did
          not
          end in time), and what it says is wrong.
      type: dict
      sample:
        module: 550.163.01
        library: 550.163.01
        module_installed: true
        nouveau: false
        wsl: false
        smi: {installed: true, works: true, code: 0, message: ""}
    toolkit:
      description: The NVIDIA Container Toolkit and its parts.
      type: dict
      sample:
        version: 1.20.0
        packages: {nvidia-container-toolkit-base: 1.20.0-1}
        ctk: /usr/bin/nvidia-ctk
        hook: true
        refresh: true
        refresh_enabled: true
    cdi:
      description:
        - The specifications by which Docker gives containers GPUs, the names in them, and names that are in more than
          one.
        - V(missing) are device nodes that a specification names and the host lacks.
      type: dict
      sample:
        specs:
          - {path: /run/cdi/nvidia.yaml, devices: ["0", all], missing: []}
        devices: ["0", all]
        twice: []
    held:
      description: The memory in bytes that running servers of this collection hold, of the host and by GPU.
      type: dict
      sample:
        chat: {memory: 2147483648, gpus: {GPU-01000100-0000-0000-0000-000000000000: 1073741824}}
    ports:
      description: The listening TCP ports with their owners.
      type: list
      elements: dict
      sample:
        - {port: 22, address: 0.0.0.0, protocol: tcp, pid: 412, process: sshd, unit: ssh.service}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._host import DEFAULT_MODEL_DIR, host_facts


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "model_dir": {"type": "path", "default": DEFAULT_MODEL_DIR},
            "paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, host=host_facts(model_dir=module.params["model_dir"], paths=module.params["paths"]))


if __name__ == "__main__":
    main()
