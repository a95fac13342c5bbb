#!/bin/sh
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Stands in for an engine: prints its arguments and its environment, in hexadecimal because anything may be in them.
hex() { od -An -v -tx1 | tr -d ' \n'; }
printf 'llmops-echo '
for word; do
  printf %s "$word" | hex
  printf ,
done
printf ' '
env -0 | hex
printf '\n'
