# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced by the parts: claims in TAP, without numbers, and machines of a suite. $dir and $label are
# the part's.
# shellcheck disable=SC2016,SC2034,SC2154 # for shells in there; the parts use what is set here

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/dkms/layers.bash
. "$here/../dkms/layers.bash"

# claim NAME COMMAND...: what it said is shown if it fails.
claim() {
	local name=$1 status said=$KS_PACKAGES_DIR/work/$label.said
	shift
	set +e
	(
		set -e
		"$@"
	) >"$said" 2>&1 </dev/null
	status=$?
	set -e
	if ((status == 0)); then
		echo "ok - $label: $name"
	else
		echo "not ok - $label: $name"
		tail -n 30 "$said" | sed 's/^/# /'
	fi
	return 0
}

# not COMMAND...: "set -e" does not see that "! COMMAND" fails.
not() { ! "$@"; }

# machine NAME [LAYER...]: a system of its own over the suite's, at $dir/NAME, until this process ends.
machine() {
	local name=$1
	shift
	mount_layers "$dir/$name" "$KS_PACKAGES_DIR/work/$label.$name" "$@" "$dir/base"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$dir/$name/dev/pts"
}

# builds ROOT COMMAND...: there as an ordinary user, who has no more than a builder's environment.
# The command line's tests are run of the installed program, for Debian's packages.
builds() {
	local root=$1
	shift
	inside "$root" setpriv --reuid=builder --regid=builder --init-groups \
		env HOME=/build "MAKEFLAGS=${KS_PACKAGES_MAKEFLAGS-KS_CLI=}" "$@"
}

# lay_source ROOT: an empty /build of the builder's, and the release's tarball unpacked in it.
lay_source() {
	mkdir "$1/build"
	tar -C "$1/build" -xf "$KS_PACKAGES_TARBALL" --no-same-owner
	inside "$1" chown -R builder:builder /build
}

# passed LOG: make check ran there, and nothing failed.
passed() {
	grep -E '^# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR):' "$1" | tail -n 7
	[ "$(sed -n 's/^# PASS: *//p' "$1" | tail -n 1)" -gt 1000 ] &&
		grep -qE '^# FAIL: +0$' "$1" && grep -qE '^# ERROR: +0$' "$1"
}

# files ROOT: all names but those of mounts and of the package managers' own state.
files() {
	(cd "$1" && find . \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./var/lib/dpkg \
		-o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/rpm \
		-o -path ./var/lib/pacman -o -path ./run \) -prune -o -print | sort)
}

# sums ROOT PATH...: what must not change there.
sums() {
	(
		cd "$1" || exit
		shift
		find "$@" -printf '%p %y %m %U:%G %T@ %l\n' | sort
		find "$@" -type f -exec sha256sum {} + | sort
	)
}

# What is on a machine before the package comes: a key of DKMS's, one that the configuration names, two packages of DKMS's, a kernel with a module of one of them.
readonly kernel=6.1.0-test
readonly keys=(etc/kernel-sign.conf var/lib/dkms/mok.key var/lib/dkms/mok.pub srv/keys)
lay_keys() {
	local root=$1 builder=$2 package
	mkdir -p "$root/srv/keys" "$root/usr/src" "$root/lib/modules/$kernel/updates/dkms"
	inside "$builder" openssl req -new -x509 -newkey rsa:2048 -nodes -days 36500 -subj '/CN=a key/' \
		-keyout /tmp/mok.key -outform DER -out /tmp/mok.pub 2>/dev/null
	printf '%s\n' 'static const char license[] __attribute__((used, section(".modinfo"))) = "license=GPL";' \
		>"$builder/tmp/module.c"
	inside "$builder" gcc -c -o /tmp/module.ko /tmp/module.c
	for package in one two; do
		mkdir -p "$root/var/lib/dkms/$package/1/build" "$root/usr/src/$package-1"
		ln -s "/usr/src/$package-1" "$root/var/lib/dkms/$package/1/source"
	done
	cp "$builder/tmp/mok.key" "$builder/tmp/mok.pub" "$root/var/lib/dkms/"
	cp "$builder/tmp/mok.key" "$builder/tmp/mok.pub" "$root/srv/keys/"
	cp "$builder/tmp/module.ko" "$root/lib/modules/$kernel/updates/dkms/"
	: >"$root/lib/modules/$kernel/modules.order"
	printf '%s\n' '# where my keys are' 'key = pkcs11:object=old;token=t?pin-value=987654' \
		'key = /srv/keys/mok.key' 'cert = /srv/keys/mok.pub' \
		>"$root/etc/kernel-sign.conf"
	chmod 600 "$root/var/lib/dkms/mok.key" "$root/srv/keys/mok.key"
}

# module_is signed|unsigned ROOT
module_is() {
	local is=unsigned
	! has_marker "$2/lib/modules/$kernel/updates/dkms/module.ko" || is=signed
	[ "$is" = "$1" ]
}
has_marker() { [ "$(tail -c 28 "$1" | tr -d '\0')" = '~Module signature appended~' ]; }

# The drop-in that is installed is the one that the program would write, which says so.
drop_in_is_the_program_s() {
	inside "$1" kernel-sign dkms status | grep -x '/etc/dkms/framework.conf.d/kernel-sign.conf: there'
}

# gates ROOT: both packages of DKMS's, as an administrator has it.
gates() {
	inside "$1" kernel-sign dkms enable --all
	[ "$(readlink "$1/etc/dkms/one.conf" "$1/etc/dkms/two.conf" | xargs)" = 'kernel-sign.conf kernel-sign.conf' ]
}

# ages ROOT FILE: FILE of /etc/dkms is as a program wrote it that was built by hand, and is gone.
ages() {
	local file=$1/etc/dkms/$2
	sed -i -e '$d' -e 's#/usr/\(bin\|lib\)#/usr/local/\1#' "$file"
	printf '%s\n' "# Written by kernel-sign, sha256 of the lines above: $(sha256sum <"$file" | cut -d ' ' -f 1)" >>"$file"
	grep -q /usr/local/ "$file"
	inside "$1" kernel-sign dkms status | grep "^/etc/dkms/$2: of another version"
}
# is_renewed ROOT: and is this program's own again.
is_renewed() {
	grep -qx 'program=/usr/bin/kernel-sign' "$1/etc/dkms/kernel-sign.sh"
	inside "$1" kernel-sign dkms status | grep -x '/etc/dkms/kernel-sign.sh: there'
	inside "$1" kernel-sign dkms status | grep -x 'one: signed and gated'
}

# What DKMS reads neither fails nor names a program that is not there.
dkms_is_as_before() {
	[ ! -L "$1/etc/dkms/one.conf" ]
	[ ! -L "$1/etc/dkms/two.conf" ]
	[ ! -e "$1/etc/dkms/framework.conf.d/kernel-sign.conf" ] ||
		inside "$1" bash -ec '. /etc/dkms/framework.conf.d/kernel-sign.conf; [ -z "$sign_file" ]'
}
