#!/bin/sh
# SPDX-License-Identifier: MIT
# No file names a directory of the machine that it was written on, or the host of a mirror or
# registry: a build finds both on the machine that it runs on.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

# In each pattern something is bracketed, so that this file does not find itself.
verdict "no path of a developer's machine" \
	"$(our_texts | xargs grep -nE '(^|[^A-Za-z0-9_.-])/(wor[k]/|var/tmp/k[s])')"
hosts='(deb|ftp[a-z0-9.]*|security|archive|snapshot|httpredir|mirrors?[a-z0-9.-]*|ports)'
hosts="${hosts}[.](debian|ubuntu|fedoraproject|archlinux|kernel)[.](org|com)"
hosts="$hosts|registry[.]npmj[s]|pyp[i][.]org|pythonhoste[d]|proxy[.]golan[g]|static[.]crates"
verdict "no host of a mirror or registry" "$(our_texts | xargs grep -nE "$hosts")"
finish
