#!/bin/sh
# SPDX-License-Identifier: MIT
# A kernel with a config of one's own in Debian's packages: debian.sh update, debian.sh build, and
# as root: debian.sh install.  README beside this tells what it needs.
set -eu

version=7.2
release=1

here=$(cd "$(dirname "$0")" && pwd)
source=$here/linux-$version

update() {
	tar -C "$here" -xf "$here/linux-$version.tar.xz"
	cd "$source"
	echo "-$release" >localversion.10-release
	echo -custom >localversion.20-name
	cp "$here/config" .config

	# A key that is younger than 30 days stays; CONFIG_SYSTEM_TRUSTED_KEYS names it in any case.
	kernel-sign genkeys -v --keys "$here/certs-local" --config .config --refresh 30d

	make olddefconfig
}

build() {
	make -C "$source" -j"$(nproc)" KDEB_PKGVERSION="$version-$release" bindeb-pkg
}

# The key is not in the packages, whose files everybody may read.  It has to be there before the
# kernel comes: with that, DKMS builds its modules.
install() {
	kernel=$(cat "$source/include/config/kernel.release")
	dpkg -i "$here/linux-headers-${kernel}_$version-$release"_*.deb
	kernel-sign install-certs --keys "$here/certs-local" "/lib/modules/$kernel/build/certs-local"
	dpkg -i "$here/linux-image-${kernel}_$version-$release"_*.deb
	kernel-sign sign -k "$kernel"
}

case ${1-} in
update | build | install) "$1" ;;
*)
	echo "Usage: $0 update|build|install" >&2
	exit 2
	;;
esac
