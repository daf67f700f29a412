# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced by what builds kernels of our own: a root of trixie, whose OpenSSL knows ML-DSA, in it
# kernel-sign as it is built there, and the source of sid's newest kernel.
#
#   inside COMMAND...         in that root
#   make_root, build_program
#   unpack_source             sets series (7.2), version (Debian's) and source, which is where makepkg
#                             unpacks it with BUILDDIR=/build; $tarball is the same as one file
#   make_config FILE LINE...  from own.config and these lines of a config
#   lay_module                the source of an out-of-tree module in /build/module
#
# Everything is below $root/build, which is /build there, and stays as a cache.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
dir=$KS_KERNEL_DIR/own
root=$dir/root
build=$root/build
sources=$build/linux-custom/src
mkdir -p "$KS_KERNEL_DIR/debs"
# shellcheck source=tests/lib/archive.bash
. "$here/../lib/archive.bash"
# shellcheck source=tests/lib/source.bash
. "$here/../lib/source.bash"

packages=(gcc libc6-dev make flex bison bc libelf-dev libssl-dev openssl perl xz-utils kmod)           # the kernel's
packages+=(autoconf automake pkgconf libkmod-dev libzstd-dev libxxhash-dev liblzma-dev zlib1g-dev libsmartcols-dev libjson-c-dev)
packages+=(makepkg pacman-package-manager libarchive-tools file)                              # makepkg's
packages+=(build-essential debhelper rsync cpio python3 libdw-dev zstd)                      # and bindeb-pkg's

inside() {
	"$here/inside" "$root" "$@"
}

make_root() {
	local want
	want=$(IFS=, && echo "${packages[*]}")
	[ "$want" != "$(cat "$dir/packages" 2>/dev/null)" ] || return 0
	rm -rf --one-file-system "$root"
	debootstrap_fast trixie "$root" --include="$want"
	echo "$want" >"$dir/packages"
}

# Not the code that the config leaves out: it is most of it.
unpack_source() {
	local file folder skip=()
	archive_open sid "$KS_KERNEL_DIR/apt/sid"
	series=$(archive_names linux-source- | sed -nE 's/^linux-source-([0-9]+\.[0-9]+)$/\1/p' | sort -V | tail -n 1)
	version=$(archive_version "linux-source-$series")
	source=$sources/linux-$series
	tarball=$build/linux-$series.tar
	[ "$version" != "$(cat "$tarball.version" 2>/dev/null)" ] || return 0
	for folder in drivers/{gpu,net,media,scsi,usb,iio,infiniband,staging} net sound samples; do
		skip+=("$folder/*.[chS]")
	done
	rm -rf --one-file-system "$build/linux-custom" "$build"/linux-*.tar*
	cd "$KS_KERNEL_DIR/debs" || return
	file=$(archive_download "linux-source-$series")
	source_unpack "$file" "$series" "$source" "${skip[@]}"
	rm "$file"
	tar -C "$sources" -cf "$tarball" "linux-$series"
	echo "$version" >"$tarball.version"
}

# What autoconf made and builds left in the tree would not fit here.
build_program() {
	mkdir -p "$root/kernel-sign" "$root/kernel-sign.build"
	tar -C "$tree" --exclude=./.git --exclude=./autom4te.cache --exclude=./build-aux --exclude=./configure \
		--exclude=./aclocal.m4 --exclude=./Makefile.in --exclude=./config.h.in --exclude=./config.status \
		--exclude=./Makefile --exclude=.deps --exclude='*.[ao]' --exclude=./kernel-sign -c . |
		tar -x -C "$root/kernel-sign"
	inside sh -ec '
		[ -f /kernel-sign/configure ] || autoreconf -fi /kernel-sign
		cd /kernel-sign.build
		[ -f config.status ] || /kernel-sign/configure -q
		make kernel-sign
		ln -sf /kernel-sign.build/kernel-sign /usr/local/bin/'
}


# Its symbols have to come out as they are asked for, or the kernel is another one than we say.
make_config() {
	local line file=$1 fragment=$sources/fragment
	shift
	{
		cat "$here/own.config"
		printf '%s\n' "$@"
	} >"$fragment"
	inside make -s -C "${source#"$root"}" KCONFIG_ALLCONFIG="${fragment#"$root"}" allnoconfig
	while IFS= read -r line; do
		grep -qxF "$line" "$source/.config" || {
			echo "the config has lost $line" >&2
			return 1
		}
	done < <(grep ^CONFIG_ "$fragment")
	mv "$source/.config" "$file"
}

# With something in it, so that it takes more than a page or a block; "in tree", so that only its
# signature can taint it.
lay_module() {
	mkdir -p "$build/module"
	echo 'obj-m := probe.o' >"$build/module/Kbuild"
	cat >"$build/module/probe.c" <<-END
		#include <linux/module.h>
		MODULE_LICENSE("GPL");
		MODULE_INFO(intree, "Y");
		asm(".section .rodata; .incbin \"${source#"$root"}/CREDITS\"; .previous");
		static int __init probe_init(void) { return 0; }
		static void __exit probe_exit(void) { }
		module_init(probe_init);
		module_exit(probe_exit);
	END
}
