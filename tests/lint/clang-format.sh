#!/bin/sh
# SPDX-License-Identifier: MIT
# The C sources are formatted as .clang-format says, and clang-format 14 or later agrees.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

need clang-format
version=$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/')
if [ "$version" -lt 14 ]; then
	echo "1..0 # SKIP clang-format $version is older than 14"
	exit 0
fi
verdict "clang-format would change nothing" \
	"$(find src tests -name '*.[ch]' -exec clang-format --dry-run -Werror --style=file {} + 2>&1)"
finish
