#!/bin/sh
# kernel-sign.sh post-build|pre-install TREE [SCRIPT [ARGUMENT...]]
#
# What DKMS runs for modules that have a link to kernel-sign.conf: kernel-sign-dkms(7). SCRIPT is the
# module's own hook, which comes first. Without an argument it is kernel-sign 3.0's post-build.
program=@bindir@/kernel-sign
when=${1:-post-build}
tree=${2:-/var/lib/dkms}
shift $(($# < 2 ? $# : 2))

# DKMS has set these, and the working directory is the one that SCRIPT is relative to.
: "${module:?is set by DKMS}" "${module_version:?is set by DKMS}"
: "${kernelver:?is set by DKMS}" "${arch:?is set by DKMS}"

status=0
if [ $# -gt 0 ]; then
	script=$1
	shift
	if [ -x "./$script" ]; then
		"./$script" "$@" || status=$?
	else
		echo "$module: $when: $script is not executable" >&2
	fi
fi

if [ ! -x "$program" ]; then
	echo "$module: $program is not there, so nobody can sign or check it: install kernel-sign," \
		"or where it is somewhere else now: kernel-sign dkms renew, or remove the link /etc/dkms/$module.conf" >&2
	exit 1
fi
case $when in
post-build)
	# Where it cannot sign, the gate knows whether that matters to this kernel.
	"$program" sign -k "$kernelver" -d "../$kernelver/$arch/module/" ||
		"$program" dkms gate -k "$kernelver" "../$kernelver/$arch/module/" ||
		status=1
	;;
pre-install)
	# A hook of the module's own that fails has refused already.
	[ "$status" != 0 ] ||
		"$program" dkms gate -k "$kernelver" "$tree/$module/$module_version/$kernelver/$arch/module" ||
		status=1
	;;
esac
exit "$status"
