#!/bin/sh
# SPDX-License-Identifier: MIT
# codespell knows every word in what people write here.  Pages that scdoc made are no such thing.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

need codespell
# shellcheck disable=SC2046 # none of our file names has a blank
verdict "codespell finds nothing" "$(codespell $(our_texts | grep -v "/man/.*\.[1-9]\$") 2>&1)"
finish
