#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A base image is imported as it is; this file exists so that a change of its making changes its identity:
# mmdebstrap --variant=minbase, without manuals, documentation and translations (version 1).
