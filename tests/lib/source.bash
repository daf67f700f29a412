# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced: the source of a kernel for x86.
#
#   source_unpack PACKAGE SERIES DIR [PATTERN...]   from Debian's package linux-source-SERIES, without
#                             what no build for x86 reads, and without what the patterns match. Kconfig
#                             files and Makefiles of all architectures stay: some are read.

source_unpack() {
	local package=$1 series=$2 dir=$3 folder arches=() skip=('Documentation/*/*' 'tools/testing' 'tools/perf')
	shift 3
	read -ra arches <<<"alpha arc arm arm64 csky hexagon ia64 loongarch m68k microblaze mips nios2
		openrisc parisc powerpc riscv s390 sh sparc um xtensa"
	for folder in "${arches[@]}"; do
		skip+=("arch/$folder/*.[chS]" "arch/$folder/boot" "arch/$folder/configs")
	done
	skip+=("$@")
	mkdir -p "$dir"
	dpkg-deb --fsys-tarfile "$package" | tar -xO "./usr/src/linux-source-$series.tar.xz" | xz -dc -T0 |
		tar -x -C "$dir" --strip-components=1 --no-same-owner --wildcards-match-slash \
			"${skip[@]/#/--exclude=linux-source-$series/}"
}
