# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced: packages of any suite of Debian's archive by its signed indexes, through an apt state of
# its own, so that neither the system's sources nor its list of packages is touched, and nothing is
# installed. Versions are looked up in the index: the archive drops old ones.
#
#   archive_mirror            prints the archive's address: $KS_REAL_MIRROR, or what the machine's
#                             own apt sources say
#   archive_open SUITE DIR    keeps the state in DIR and fetches the indexes; the functions below
#                             are about the suite that was opened last
#   archive_names PREFIX      the names of all packages that start so
#   archive_version PACKAGE   the candidate's version
#   archive_depends PACKAGE...  the names of all packages that they depend on
#   archive_download PACKAGE  into the working directory; a file that is there already is kept.
#                             Prints its name
#   debootstrap_fast SUITE ROOT [OPTION...]   a root that does not live long

archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# apt parses its sources, of either format, better than we would. The main archive ends in
# /debian, or in /debian/TIMESTAMP for a snapshot; /debian-security is another one.
archive_mirror() {
	local mirror=${KS_REAL_MIRROR:-}
	[ -n "$mirror" ] || mirror=$(apt-get --print-uris update |
		sed -nE "s#^'((https?|ftp|file)://[^']*/debian(/[^'/]+)?)/+dists/.*#\1#p" | sed -n 1p)
	[ -n "$mirror" ] || {
		echo "no Debian archive in the apt sources; set KS_REAL_MIRROR" >&2
		return 1
	}
	echo "$mirror"
}

# The host's apt configuration stays in force (a proxy may stand there), except for its hooks.
archive_open() {
	local suite=$1 state=$2 mirror
	mirror=$(archive_mirror) || return
	archive_conf=$state/apt.conf
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	: >"$state/status"
	echo "deb [arch=amd64 signed-by=$archive_keyring] $mirror $suite main" >"$state/sources.list"
	cat >"$archive_conf" <<-EOF
		Dir::State "$state";
		Dir::State::lists "$state/lists";
		Dir::State::status "$state/status";
		Dir::Cache "$state/cache";
		Dir::Etc::sourcelist "$state/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		APT::Architecture "amd64";
		#clear APT::Architectures;
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Retries "3";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
	EOF
	apt-get -q -c "$archive_conf" -o APT::Update::Error-Mode=any update >&2
}

archive_names() {
	apt-cache -c "$archive_conf" pkgnames "$1"
}

archive_version() {
	apt-cache -c "$archive_conf" show --no-all-versions "$1" | sed -n 's/^Version: //p'
}

archive_depends() {
	apt-cache -c "$archive_conf" depends "$@" | sed -n 's/^[ |]*Depends: //p' | sort -u
}

archive_download() {
	local version file
	version=$(archive_version "$1")
	[ -n "$version" ] || {
		echo "the archive has no $1" >&2
		return 1
	}
	apt-get -q -c "$archive_conf" download "$1=$version" >&2
	# apt writes the colon of an epoch as %3a.
	for file in "$1_${version/:/%3a}"_*.deb; do
		echo "$file"
	done
}

debootstrap_fast() {
	local suite=$1 root=$2 mirror
	shift 2
	mirror=$(archive_mirror) || return
	# dpkg need not sync each file.
	mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
	debootstrap --variant=minbase --keyring="$archive_keyring" "$@" "$suite" "$root" "$mirror"
}
