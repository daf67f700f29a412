# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced: roots that are laid one over the other (overlayfs), so that none has to be copied. The caller's
# mounts are its own (unshare --mount), which ends them with it.
#
#   mount_layers AT UPPER LOWER...   what is written AT goes to UPPER
#   inside ROOT COMMAND...           with a clean environment

mount_layers() {
	local at=$1 upper=$2 lower
	shift 2
	lower=$(
		IFS=:
		echo "$*"
	)
	mkdir -p "$at" "$upper" "$upper.work"
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$upper.work" "$at"
	mount -t proc proc "$at/proc"
}

inside() {
	local root=$1
	shift
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root DEBIAN_FRONTEND=noninteractive \
		${http_proxy:+"http_proxy=$http_proxy"} chroot "$root" "$@"
}
