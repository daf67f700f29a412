#!/bin/bash
# SPDX-License-Identifier: MIT
# .ci/parts.sh SCRATCH PART: one part of .ci/run, which made SCRATCH and reads the results there.
set -euo pipefail

scratch=$1
part=$2
log=$scratch/$part.log
jobs=$(nproc)
# shellcheck source=.ci/results.sh
. "$(dirname "$0")/results.sh"
# shellcheck source=tests/lib/archive.bash
. "$(dirname "$0")/../tests/lib/archive.bash"

# need PACKAGE...: installs those that are missing.
need() {
	local missing=() package
	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing+=("$package")
	done
	((${#missing[@]})) || return 0
	apt-get update
	apt-get install -y --no-install-recommends "${missing[@]}"
}

# The source that the builds outside the tree share.
source_tree() {
	[ ! -d "$scratch/src" ] || return 0
	(cd "$scratch/tree" && ./bootstrap packages)
	cp -a "$scratch/tree" "$scratch/src.new"
	(cd "$scratch/src.new" && autoreconf -fi)
	mv "$scratch/src.new" "$scratch/src"
}

# build NAME CONFIGURE-ARGUMENT...: in $scratch/NAME, where it leaves the shell.
build() {
	local name=$1
	shift
	source_tree
	mkdir "$scratch/$name"
	cd "$scratch/$name"
	../src/configure "$@"
	make -j"$jobs"
}

# plain: the ordinary build, that several parts use.
plain() {
	[ -x "$scratch/plain/kernel-sign" ] || (build plain)
	cd "$scratch/plain"
}

# check LABEL MAKE-ARGUMENT...: make check here; its failures are in the results.
check() {
	local label=$1 status=0
	shift
	make -j"$jobs" -k check "$@" || status=$?
	automake_results "$label" "$PWD"
	# Failed, but no test did: then one could not be built.
	if ((status)) && ! grep -q '^FAIL' "$scratch/$part.results"; then
		result FAIL "$label: make check ends with status $status"
		details "$label" "$log"
	fi
}

part_gcc() {
	local status=0
	cp -a "$scratch/tree" "$scratch/gcc"
	cd "$scratch/gcc"
	CC=gcc ./bootstrap check --enable-werror || status=$?
	automake_results gcc "$PWD"
	grep -q '^FAIL' "$scratch/$part.results" || return "$status"
}

part_clang() {
	need clang
	build clang CC=clang --enable-werror
	check clang
}

part_asan() {
	mkdir -m 1777 "$scratch/asan.reports"
	# Exit status 1 is what many tests expect of the program; no report may pass for that.
	export ASAN_OPTIONS=exitcode=99:log_path=$scratch/asan.reports/asan
	export UBSAN_OPTIONS=print_stacktrace=1
	build asan --enable-werror \
		CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'
	check asan
	reports "sanitizer report" "$scratch/asan.reports"
}

part_tsan() {
	local units=(tests/unit/test_{parallel,dirsync,confine})
	mkdir -m 1777 "$scratch/tsan.reports"
	export TSAN_OPTIONS=exitcode=99:log_path=$scratch/tsan.reports/tsan
	build tsan --enable-werror CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=thread'
	check tsan check_PROGRAMS="${units[*]}" TESTS="${units[*]} tests/cli/threads.bats tests/cli/unsign.bats"
	reports "data race" "$scratch/tsan.reports"
}

part_analyze() {
	need clang-tidy cppcheck
	plain
	tap_part analyze make -s analyze
}

part_valgrind() {
	local reports=$scratch/valgrind.reports bin=$scratch/valgrind.bin name tests=()
	need valgrind libc6-dbg
	# What FORTIFY makes of memmove() is an overlap to valgrind 3.19.
	build valgrind CPPFLAGS=-U_FORTIFY_SOURCE CFLAGS='-O1 -g'
	mkdir -m 1777 "$reports"
	mkdir "$bin" "$bin/real"
	cat >"$bin/memcheck" <<-EOF
		#!/bin/sh
		exec valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \\
			--log-file='$reports/%p' "\$@"
	EOF
	# The program looks at its own name: so does what stands for it here.
	cat >"$bin/kernel-sign" <<-EOF
		#!/bin/sh
		exec '$bin/memcheck' '$bin/real/'"\$(basename "\$0")" "\$@"
	EOF
	chmod +x "$bin/memcheck" "$bin/kernel-sign"
	for name in kernel-sign sign-file kmodsign; do
		ln -s "$PWD/kernel-sign" "$bin/real/$name"
	done

	# Under valgrind no program can look through all of its memory; and what flips every byte of a
	# file in turn, or exchanges files for seconds, the sanitizers have seen.
	# shellcheck disable=SC2016 # variables of make
	check "valgrind unit" LOG_COMPILER="$bin/memcheck" \
		TESTS='$(filter-out %/test_secret %/test_splice_xz %/test_splice_gzip,$(KS_UNIT))'
	find . -name '*.trs' -delete
	for name in sign unsign status sign_file; do
		[ ! -f "$scratch/src/tests/cli/$name.bats" ] || tests+=("tests/cli/$name.bats")
	done
	((${#tests[@]})) || result FAIL "valgrind commands: no tests/cli/*.bats of them"
	check "valgrind commands" TESTS="${tests[*]}" KERNEL_SIGN="$bin/kernel-sign"
	# mlock2() for OpenSSL's secure heap, and Landlock: valgrind 3.19 does not know them, and says so.
	find "$reports" -type f -exec sed -i -E '/^--[0-9]+-- (WARNING: unhandled amd64-linux syscall: (325|444)$|You may be able|Read the file README_MISSING|Nevertheless we|it at http)/d' {} +
	reports "valgrind report" "$reports"
}

# twin DIRECTORY UMASK OWNER BUILD [VARIABLE=VALUE...]: the tarball of a clone of $scratch/origin, built in
# BUILD, of files that OWNER has.
twin() {
	local dir=$1 mask=$2 owner=$3 build=$4
	shift 4
	umask "$mask"
	git clone -q "$scratch/origin" "$dir"
	mkdir -p "$dir/$build" "$dir/tests/kernel/__pycache__"
	touch "$dir/tests/kernel/__pycache__/left-by-$owner.pyc"
	# git wants its own directories to be the caller's.
	find "$dir" -mindepth 1 -path "$dir/.git" -prune -o -exec chown "$owner:$owner" {} +
	(cd "$dir" && autoreconf -fi)
	cd "$dir/$build"
	"$dir/configure" -q
	env "$@" make dist
}

# Two clones, in which nothing is alike but what git has, and what a tarball unpacks to.
reproducible() {
	local date='2001-09-09 01:46:40 +0000' dir=$scratch/twins path
	need git
	cp -a "$scratch/tree" "$scratch/origin"
	git -C "$scratch/origin" init -q
	git -C "$scratch/origin" add -A
	GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date git -C "$scratch/origin" \
		-c user.name=CI -c user.email=ci@localhost commit -q -m source
	mkdir "$dir" "$dir/elsewhere"
	step "make dist in a clone" twin "$dir/one" 022 0 .
	step "make dist in another clone, by another umask, of files of another owner" \
		twin "$dir/elsewhere/the-other" 077 65534 build TZ=Asia/Tokyo XZ_DEFAULTS=-T2 XZ_OPT=-9
	step "a clone's tarball is the other's, byte for byte" \
		cmp "$dir"/one/kernel-sign-*.tar.xz "$dir"/elsewhere/the-other/build/kernel-sign-*.tar.xz
	path=$(echo "$dir"/one/kernel-sign-*.tar.xz)
	step "its files are of the commit's date" \
		test "$(TZ=UTC tar -tvf "$path" | awk '{ print $2, $4, $5 }' | sort -u)" = '0/0 2001-09-09 01:46'
	step "its manual is of the commit's date" \
		test "$(tar -xOf "$path" --wildcards '*.[1-8]' | grep '^\.TH ' | cut -d ' ' -f 4 | sort -u)" = '"2001-09-09"'
	mkdir "$dir/out"
	tar -C "$dir/out" -xf "$path"
	cd "$dir"/out/kernel-sign-*/
	step "make dist in an unpacked tarball" sh -ec './configure -q && make dist'
	step "a tarball's source makes it again" cmp "$path" kernel-sign-*.tar.xz
}

part_dist() {
	local name path dir=$scratch/dist
	plain
	(reproducible)
	step "make distcheck" make -j"$jobs" distcheck
	mkdir -p "$dir/bin"
	tar -C "$dir" -xf kernel-sign-*.tar.xz
	cd "$dir"/kernel-sign-*/

	# A machine without scdoc, which else has all.
	for path in /usr/sbin/* /usr/bin/*; do
		ln -sf "$path" "$dir/bin/"
	done
	rm -f "$dir/bin/scdoc"
	export PATH=$dir/bin
	step "the tarball configures without scdoc" ./configure --prefix=/usr
	step "the tarball builds without scdoc" make -j"$jobs"
	step "make install with DESTDIR" make install DESTDIR="$dir/root"
	(cd "$dir/root" && find . ! -type d | sort)
	for name in bin/kernel-sign libexec/kernel-sign/sign-file share/man/man8/kernel-sign.8 \
		share/man/man7/kernel-sign-migrate.7 share/man/man5/kernel-sign.conf.5 share/bash-completion/completions/kernel-sign \
		share/zsh/site-functions/_kernel-sign share/fish/vendor_completions.d/kernel-sign.fish; do
		step "installed: $name" test -s "$dir/root/usr/$name"
	done
	step "the installed program runs" "$dir/root/usr/bin/kernel-sign" --version
	step "the installed sign-file is the program" \
		test "$dir/root/usr/libexec/kernel-sign/sign-file" -ef "$dir/root/usr/bin/kernel-sign"
	step "make uninstall" make uninstall DESTDIR="$dir/root"
	step "uninstall leaves no file" test -z "$(find "$dir/root" ! -type d)"
}

# inside ROOT COMMAND: in the root, as in a container of that system: /proc, terminals, and no
# variable of ours.
inside() {
	# The mounts are gone with their namespace, however this ends. Tests make namespaces of their own,
	# for which the root has to be a mount.
	# shellcheck disable=SC2016 # for the shell in the namespace
	unshare --mount --propagation private sh -c '
		mount --bind "$1" "$1"
		mount -t proc proc "$1/proc"
		mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$1/dev/pts"
		exec chroot "$1" env -i HOME=/root TERM=dumb ${http_proxy:+"http_proxy=$http_proxy"} \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "cd /kernel-sign && $2"' sh "$@"
}

bare_root() {
	local suite=$1 root=$scratch/bare/$1 newest=
	# Of a suite that moves on, the tools of style say something else every few weeks.
	[ "$suite" != sid ] || newest='MAKEFLAGS=KS_STYLE= '
	step "$suite: debootstrap" debootstrap --variant=minbase "$suite" "$root" "$2"
	cp -a "$scratch/tree" "$root/kernel-sign"
	step "$suite: ./bootstrap demo" inside "$root" './bootstrap demo'
	inside "$root" "$newest./bootstrap check" || echo "$suite: ./bootstrap check ends with status $?"
	step "$suite: ./bootstrap check ran tests" test -f "$root/kernel-sign/test-suite.log"
	automake_results "$suite" "$root/kernel-sign"
}

part_bare() {
	local mirror suite suites=(bookworm trixie sid) workers=()
	need debootstrap debian-archive-keyring
	mirror=$(archive_mirror)
	mkdir "$scratch/bare"
	for suite in "${suites[@]}"; do
		log=$scratch/bare.$suite.log
		(bare_root "$suite" "$mirror") >"$log" 2>&1 &
		workers+=($!)
	done
	for suite in "${suites[@]}"; do
		wait "${workers[0]}" || result FAIL "$suite: broke off with status $?"
		workers=("${workers[@]:1}")
		cat "$scratch/bare.$suite.log"
	done
}

# tap_part NAME COMMAND...: a program that speaks TAP.  Into a file first: what it says must survive
# whatever becomes of it.
tap_part() {
	local name=$1 status=0
	shift
	KERNEL_SIGN=$PWD/kernel-sign abs_top_builddir=$PWD abs_top_srcdir=$scratch/src \
		"$@" >"$scratch/$name.tap" || status=$?
	cat "$scratch/$name.tap"
	tap_results "$name" "$scratch/$name.tap"
	grep -q '^FAIL' "$scratch/$part.results" || return "$status"
}

part_real() {
	plain
	# A developer may keep its downloads from run to run, CI leaves nothing.
	export KS_REAL_DIR=${KS_REAL_DIR:-$scratch/real.work}
	mkdir -p "$KS_REAL_DIR"
	tap_part real "$scratch/src/tests/real/run"
}

part_prepare() {
	plain
	export KS_PREPARE_DIR=${KS_PREPARE_DIR:-$scratch/prepare.work}
	mkdir -p "$KS_PREPARE_DIR"
	tap_part prepare "$scratch/src/tests/real/prepare"
}

part_kernel() {
	plain
	export KS_KERNEL_DIR=${KS_KERNEL_DIR:-$scratch/kernel.work}
	mkdir -p "$KS_KERNEL_DIR"
	tap_part kernel "$scratch/src/tests/kernel/run" stock containers secureboot trust modprobe own custom
}

part_dkms() {
	source_tree
	cd "$scratch/src"
	export KS_DKMS_DIR=${KS_DKMS_DIR:-$scratch/dkms.work}
	mkdir -p "$KS_DKMS_DIR"
	tap_part dkms "$scratch/src/tests/dkms/run"
}

part_tokens() {
	plain
	export KS_TOKENS_DIR=${KS_TOKENS_DIR:-$scratch/tokens.work}
	mkdir -p "$KS_TOKENS_DIR"
	tap_part tokens "$scratch/src/tests/tokens/run"
}

part_packages() {
	plain
	make dist
	export KS_PACKAGES_DIR=${KS_PACKAGES_DIR:-$scratch/packages.work}
	mkdir -p "$KS_PACKAGES_DIR"
	KS_PACKAGES_TARBALL=$(echo "$PWD"/kernel-sign-*.tar.xz) tap_part packages "$scratch/src/tests/packages/run"
}

part_hostile() {
	plain
	check hostile TESTS=tests/cli/hostile.bats
}

part_fault() {
	need python3 kmod openssl xz-utils zstd
	plain
	# Nothing has to outlive this, and syncing costs nothing there.
	[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
	tap_part fault "$scratch/src/tests/fault/run" sample
}

part_fuzz() {
	local target name=libclang-rt-dev
	need clang
	# Debian 12 has it by its version only.
	apt-cache show "$name" >/dev/null 2>&1 || name=libclang-rt-14-dev
	need "$name"
	source_tree
	for target in "$scratch"/src/tests/fuzz/fuzz_*.c; do
		target=${target##*/fuzz_}
		target=${target%.c}
		step "fuzzing $target finds nothing" "$scratch/src/tests/fuzz/run" -s 20 "$target"
	done
}

"part_$part"
