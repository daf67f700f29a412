# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the tests of the command line share.  A test file loads this, and calls make_fixtures in
# setup_file() and start_test in setup().  Nothing here asks kernel-sign whether kernel-sign is
# right: modules come from the compiler, keys from openssl, and verdicts from openssl and cmp.
# shellcheck disable=SC2034,SC2154 # bats sets $output, $stderr and $status; tests use the rest

bats_require_minimum_version 1.5.0

export LC_ALL=C
unset KERNEL_SIGN_KEY KERNEL_SIGN_CERT KBUILD_SIGN_PIN POSIXLY_CORRECT
PATH=$PATH:/usr/sbin:/sbin
KERNEL_SIGN=${KERNEL_SIGN:-${abs_top_builddir:-$BATS_TEST_DIRNAME/../..}/kernel-sign}

readonly V=6.1.0-test # the kernel of most tests
readonly MARKER='~Module signature appended~'

# --- fixtures, once a file

# compile NAME [FLAG...]: a real ELF object with the .modinfo section that makes it a module.
compile() {
	local name=$1
	shift
	cat >"$FIXTURES/module.c" <<-'END'
		#define ENTRY __attribute__((used, section(".modinfo"), aligned(1)))
		static const char ENTRY license[] = "license=GPL";
		static const char ENTRY vermagic[] = "vermagic=" VERMAGIC " SMP preempt mod_unload ";
		#ifdef INTREE
		static const char ENTRY intree[] = "intree=Y";
		#endif
		int answer(void) { return 42; }
	END
	"${COMPILER[@]}" -O2 -g -c "-DVERMAGIC=\"$V\"" "$@" -o "$FIXTURES/$name.ko" "$FIXTURES/module.c"
}

# certify NAME [OPENSSL-REQ-OPTION...]: $KEYS/NAME.key and its certificate NAME.pem and NAME.der,
# made as the kernel's build makes them.
certify() {
	local name=$1
	shift
	[ -f "$KEYS/extensions" ] || cat >"$KEYS/extensions" <<-'END'
		[ req ]
		distinguished_name = name
		prompt = no
		string_mask = utf8only
		x509_extensions = extensions
		[ name ]
		CN = $ENV::CN
		[ extensions ]
		basicConstraints = critical,CA:FALSE
		keyUsage = digitalSignature
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		extendedKeyUsage = codeSigning
	END
	CN="the $name key" openssl req -new -x509 -nodes -utf8 -sha256 -days 36500 -batch \
		-config "$KEYS/extensions" -keyout "$KEYS/$name.key" -out "$KEYS/$name.pem" "$@" \
		2>"$KEYS/log" || {
		cat "$KEYS/log"
		return 1
	}
	chmod 600 "$KEYS/$name.key"
	openssl x509 -in "$KEYS/$name.pem" -outform DER -out "$KEYS/$name.der"
}

# dated FROM TO: a certificate of the rsa key valid between these days.
dated() {
	mkdir -p ca
	: >ca/index
	echo 01 >ca/serial
	cat >ca/conf <<-END
		[ ca ]
		default_ca = it
		[ it ]
		database = ca/index
		serial = ca/serial
		new_certs_dir = ca
		default_md = sha256
		policy = any
		[ any ]
		commonName = supplied
	END
	openssl req -new -key "$KEYS/rsa.key" -subj '/CN=the dated key' -out ca/request
	openssl ca -batch -notext -config ca/conf -selfsign -keyfile "$KEYS/rsa.key" -in ca/request \
		-startdate "$1" -enddate "$2" -out dated.pem 2>ca/log
}

# The module plain.ko; the pairs rsa (RSA-2048), ec (ECDSA P-384) and other (ECDSA P-256).
make_fixtures() {
	export FIXTURES=$BATS_FILE_TMPDIR/fixtures KEYS=$BATS_FILE_TMPDIR/keys
	mkdir "$FIXTURES" "$KEYS"
	read -ra COMPILER <<<"${CC:-cc}"
	compile plain
	certify rsa -newkey rsa:2048
	certify ec -newkey ec -pkeyopt ec_paramgen_curve:secp384r1
	certify other -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
}

# --- every test

# An empty root with the kernel $V; here and key are the options that most tests want.
start_test() {
	cd "$BATS_TEST_TMPDIR" || return
	root=$BATS_TEST_TMPDIR/root
	tree=$root/lib/modules/$V
	mkdir -p "$tree/kernel/drivers" "$tree/updates/dkms" "$tree/extra"
	: >"$tree/modules.order"
	here=(--root "$root" -k "$V")
	key=(--key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem" --hash sha256)
}

# start_store: as start_test; a config in $work, which is the working directory, for a key store $store
# beside it, and the headers of the kernel $V, with $dest for its certs-local.
start_store() {
	start_test
	work=$BATS_TEST_TMPDIR/work
	store=$work/certs-local
	headers=$root/usr/src/headers
	dest=$headers/certs-local
	mkdir -p "$work" "$headers"
	ln -s ../../../usr/src/headers "$tree/build"
	cd "$work" || return
	printf '%s\n' CONFIG_MODULE_SIG=y 'CONFIG_MODULE_SIG_HASH="sha384"' CONFIG_MODULE_SIG_KEY_TYPE_ECDSA=y >config
}

# pair DIRECTORY: a whole key of 3.0's layout, as openssl sees the files that its scripts name.
pair() {
	local key
	key=$(openssl pkey -in "$1/signing_key.pem" -pubout) || return
	[ "$key" = "$(openssl pkey -in "$1/signing_prv.pem" -pubout)" ] || return
	[ "$key" = "$(openssl x509 -in "$1/signing_key.pem" -noout -pubkey)" ] || return
	[ "$key" = "$(openssl x509 -inform DER -in "$1/signing_crt.crt" -noout -pubkey)" ] || return
	openssl x509 -in "$1/signing_key.pem" -outform DER | cmp - "$1/signing_crt.crt" || return
	[ "$(stat -c %a "$1"/signing_{key.pem,prv.pem,crt.crt} | tr '\n' ' ')" = '600 600 644 ' ]
}

# old_store NAME NOT-BEFORE DAYS [KHASH]: a store as 3.0's script made it, by openssl alone.
old_store() {
	local dir=$store/$1 hash=${4:-sha512}
	mkdir -p "$dir"
	cat >"$store/x509.oot.genkey" <<-'END'
		[ req ]
		default_bits = 4096
		distinguished_name = req_distinguished_name
		prompt = no
		string_mask = utf8only
		x509_extensions = myexts

		[ req_distinguished_name ]
		CN = Local Out of tree kernel module signing key

		[ myexts ]
		basicConstraints=critical,CA:FALSE
		keyUsage=digitalSignature
		subjectKeyIdentifier=hash
		authorityKeyIdentifier=keyid
	END
	openssl req -new -nodes -utf8 "-$hash" -days "$3" -batch -x509 -config "$store/x509.oot.genkey" \
		-outform PEM -out "$dir/signing_key.crt" -keyout "$dir/signing_key.pem" \
		-newkey ec -pkeyopt ec_paramgen_curve:secp384r1 2>"$BATS_TEST_TMPDIR/log"
	if [ -n "$2" ]; then
		openssl req -new -key "$dir/signing_key.pem" -config "$store/x509.oot.genkey" \
			-out "$BATS_TEST_TMPDIR/csr"
		mkdir -p "$BATS_TEST_TMPDIR/ca"
		: >"$BATS_TEST_TMPDIR/ca/index"
		printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nnew_certs_dir=%s\nrand_serial=yes\n%s' \
			"$BATS_TEST_TMPDIR/ca/index" "$BATS_TEST_TMPDIR/ca" \
			$'default_md=sha512\npolicy=p\n[p]\ncommonName=supplied\n' >"$BATS_TEST_TMPDIR/ca/cnf"
		openssl ca -batch -config "$BATS_TEST_TMPDIR/ca/cnf" -selfsign -notext -startdate "$2" \
			-days "$3" -keyfile "$dir/signing_key.pem" -in "$BATS_TEST_TMPDIR/csr" \
			-out "$dir/signing_key.crt" 2>"$BATS_TEST_TMPDIR/log"
	fi
	cat "$dir/signing_key.crt" >>"$dir/signing_key.pem"
	rm "$dir/signing_key.crt"
	chmod 600 "$dir/signing_key.pem"
	openssl pkey -in "$dir/signing_key.pem" -out "$dir/signing_prv.pem"
	openssl x509 -outform der -in "$dir/signing_key.pem" -out "$dir/signing_crt.crt"
	echo "$hash" >"$dir/khash"
	echo ec >"$dir/ktype"
	ln -sfn "$1" "$store/current"
}

# module PATH [FIXTURE]: a module at PATH, compressed as its name says.  A relative PATH is below
# the kernel's directory.
module() {
	local path=$1 from=$FIXTURES/${2:-plain}.ko
	[[ $path == /* ]] || path=$tree/$path
	mkdir -p "${path%/*}"
	pack "${path##*/}" <"$from" >"$path"
}

# pack NAME, unpack FILE: the compressions, by name.
pack() {
	case $1 in
	*.zst) zstd -cq ;;
	*.xz) xz -c --check=crc32 --lzma2=dict=1MiB ;;
	*.gz) gzip -nc ;;
	*) cat ;;
	esac
}

unpack() {
	case $1 in
	*.zst) zstd -dcq <"$1" ;;
	*.xz) xz -dc <"$1" ;;
	*.gz) gzip -dc <"$1" ;;
	*) cat "$1" ;;
	esac
}

# in_tree PATH...: modules that the kernel's package names.
in_tree() {
	local path
	for path; do
		module "$path"
		echo "${path%.ko*}.ko" >>"$tree/modules.order"
	done
}

# dkms_package NAME [VERSION]: a package that is registered with DKMS.
dkms_package() {
	local dir=$root/var/lib/dkms/$1/${2:-1} source=$root/usr/src/$1-${2:-1}
	mkdir -p "$dir/build" "$source"
	ln -srfn "$source" "$dir/source"
}

# dkms_installs PACKAGE NAME [FIXTURE]: what DKMS leaves of an installed module: the module, its own
# copy in the directory $copies, and the link that says so.
dkms_installs() {
	copies=$root/var/lib/dkms/$1/1/$V/x86_64/module
	dkms_package "$1"
	module "$copies/$2" "${3:-plain}"
	mkdir -p "$tree/updates/dkms"
	cp "$copies/$2" "$tree/updates/dkms/$2"
	ln -sfn "1/$V/x86_64" "$root/var/lib/dkms/$1/kernel-$V-x86_64"
}

# --- running the program

# ks STATUS ARGUMENT...: runs it, and fails unless it ends with STATUS.  $output and $stderr then
# hold what it said.  With $alone it has no terminal that it could ask.
ks() {
	local wanted=$1
	shift
	run --separate-stderr ${alone:+setsid -w} "$KERNEL_SIGN" "$@"
	ended "$wanted"
}

# ended STATUS: whether the last run ended so; shows what it said, for a test that fails.
ended() {
	printf -- '--- exit status %s\n--- stdout:\n%s\n--- stderr:\n%s\n' "$status" "$output" "$stderr"
	[ "$status" -eq "$1" ]
}

# on_terminal COMMAND...: runs it on a terminal of its own, for twenty seconds at most; what was to be seen
# there is on stdout, and the exit status is the command's.
on_terminal() {
	python3 - "$@" <<-'END'
		import os, pty, sys, threading
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[1], sys.argv[1:])
		threading.Timer(20, os.kill, (pid, 9)).start()
		try:
		    while data := os.read(fd, 4096):
		        sys.stdout.write(data.decode())
		except OSError:
		    pass
		sys.stdout.flush()
		os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
}

# says PATTERN, warns PATTERN: a line on stdout, on stderr, matches the extended expression.
says() { grep -qE -- "$1" <<<"$output" || lacks stdout "$1"; }
warns() { grep -qE -- "$1" <<<"$stderr" || lacks stderr "$1"; }
lacks() {
	echo "no line on $1 matches: $2"
	return 1
}

# not COMMAND...: in the middle of a test bats does not notice that "! COMMAND" fails.
not() { ! "$@"; }

# blames NAME CAUSE: one line on stderr names the file and, behind it, the cause.
blames() { warns "^kernel-sign: (.*[/ ])?$1: .*$2"; }

# nobody COMMAND...: without the rights of root, which reads and writes what it likes.
nobody() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}

# What nobody is to see and run has to be within its reach.
let_nobody_in() {
	[ "$(id -u)" = 0 ] || return 0
	# A copy of the keys, which become nobody's: other tests want them to be their user's.
	cp -a "$KEYS" "$BATS_TEST_TMPDIR/keys-of-nobody"
	KEYS=$BATS_TEST_TMPDIR/keys-of-nobody
	key=(--key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem" --hash sha256)
	chmod a+rx "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_FILE_TMPDIR"/*/ "${BATS_TEST_TMPDIR%/*}" \
		"$BATS_TEST_TMPDIR"
	chown -R 65534:65534 "$root" "$KEYS"
	if ! nobody "$KERNEL_SIGN" --version >/dev/null 2>&1; then
		cp "$KERNEL_SIGN" "$BATS_FILE_TMPDIR/kernel-sign"
		KERNEL_SIGN=$BATS_FILE_TMPDIR/kernel-sign
		nobody "$KERNEL_SIGN" --version >/dev/null
	fi
}

# --- what others say of the results

# manifest DIRECTORY: all that could change in it, a line a file: content, mode, owner, links,
# inode, times.
manifest() {
	(
		cd "$1" || exit
		find . -printf '%p %y %m %U:%G %n %i %T@ %C@ %l\n' | sort
		find . -type f -exec sha256sum {} + | sort
	)
}

# identity FILE: what stays the same only where nobody touched the file.
identity() { stat -L -c '%i %s %y %z' "$1"; }

# Temporary files have no business here when nothing runs any more.
no_litter() {
	local left
	left=$(find "${1:-$root}" -name '*.tmp' -o -name '.*' ! -name . ! -name .config)
	[ -z "$left" ] || {
		echo "left behind: $left"
		return 1
	}
}

# message KEY HASH FILE [OPTION...]: the message over FILE that the kernel's sign-file makes, on
# stdout, by openssl; OPTIONs replace -noattr -nocerts.
message() {
	local by=$1 hash=$2 file=$3
	shift 3
	[ $# -gt 0 ] || set -- -noattr -nocerts
	openssl cms -sign -binary -nosmimecap -outform DER -md "$hash" -in "$file" \
		-signer "$KEYS/$by.pem" -inkey "$KEYS/$by.key" "$@"
}

# trailer LENGTH [INFO]: information block and marker; INFO is the block's first eight bytes.
trailer() {
	local length
	printf -v length '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) \
		$(($1 >> 8 & 255)) $(($1 & 255))
	printf '%b%b%s\n' "${2:-\\0\\0\\2\\0\\0\\0\\0\\0}" "$length" "$MARKER"
}

# attach FILE MESSAGE: makes the plain module FILE one signed with the message in the file MESSAGE.
attach() {
	cat "$2" >>"$1"
	trailer "$(stat -c %s "$2")" >>"$1"
}

# sign_by_hand FILE KEY [HASH [OPTION...]]: signs a plain module file, whatever it carries already.
sign_by_hand() {
	local file=$1 by=$2 hash=${3:-sha256}
	shift 2
	[ $# -eq 0 ] || shift
	message "$by" "$hash" "$file" "$@" >"$BATS_TEST_TMPDIR/by-hand.p7s"
	attach "$file" "$BATS_TEST_TMPDIR/by-hand.p7s"
}

# take_apart FILE: leaves in apart/ its module, decompressed, and that one's image and message.
take_apart() {
	local dir=$BATS_TEST_TMPDIR/apart bytes length size
	mkdir -p "$dir"
	unpack "$1" >"$dir/module"
	[ "$(tail -c 28 "$dir/module" | tr -d '\0')" = "$MARKER" ] || {
		echo "$1: no marker at its end"
		return 1
	}
	read -ra bytes < <(tail -c 40 "$dir/module" | od -An -v -w40 -tu1)
	[ "${bytes[*]:0:8}" = '0 0 2 0 0 0 0 0' ] || {
		echo "$1: information block ${bytes[*]:0:12}"
		return 1
	}
	length=$((((bytes[8] * 256 + bytes[9]) * 256 + bytes[10]) * 256 + bytes[11]))
	size=$(stat -c %s "$dir/module")
	head -c $((size - 40 - length)) "$dir/module" >"$dir/image"
	tail -c $((40 + length)) "$dir/module" | head -c "$length" >"$dir/message"
}

# is_signed FILE [KEY [HASH [FIXTURE]]]: FILE is the fixture and exactly one signature, which
# holds by that key and hash, openssl says.
is_signed() {
	local file=$1 by=${2:-rsa} hash=${3:-sha256} dir=$BATS_TEST_TMPDIR/apart
	take_apart "$file" || return
	cmp "$dir/image" "$FIXTURES/${4:-plain}.ko" || return
	openssl cms -verify -binary -inform DER -in "$dir/message" -content "$dir/image" -nointern \
		-noverify -certfile "$KEYS/$by.pem" -out /dev/null 2>"$dir/log" || {
		echo "$file: openssl: $(cat "$dir/log")"
		return 1
	}
	openssl cms -cmsout -print -inform DER -in "$dir/message" >"$dir/text"
	[ "$(grep -A 1 'digestAlgorithm: *$' "$dir/text" | grep -c 'algorithm: ')" = 1 ] || {
		echo "$file: not one signer"
		return 1
	}
	grep -A 1 'digestAlgorithm: *$' "$dir/text" | grep -q "algorithm: $hash " || {
		echo "$file: not with $hash"
		return 1
	}
	grep -A 1 'signedAttrs:' "$dir/text" | grep -q '<ABSENT>' || {
		echo "$file: signed attributes"
		return 1
	}
}

# is_plain FILE [FIXTURE]: FILE is the fixture and no signature.
is_plain() { unpack "$1" | cmp - "$FIXTURES/${2:-plain}.ko"; }

# reference FILE KEY HASH: makes FILE what the kernel's sign-file makes of the module plain.ko;
# with RSA it is the same every time.
reference() {
	cp "$FIXTURES/plain.ko" "$1"
	sign_by_hand "$1" "$2" "$3"
}
