# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# For scripts/guest and scripts/cross: Debian's packages, also of another architecture, fetched and unpacked into build/kernels.
# apt gets lists and a state of its own there, so nothing of this machine changes and no privilege is needed.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
KERNELS=$ROOT/build/kernels
SYSROOT=$KERNELS/sysroot # -ARCHITECTURE: what runs in a guest of another architecture, and what is linked with for it

die() {
	echo "${0##*/}: $*" >&2
	exit 125
}

# lacks WORD...: this machine cannot do it: no compiler, no network. Status 77, as of a test that is skipped.
lacks() {
	echo "${0##*/}: $*" >&2
	exit 77
}

# apt_for ARCH[-SUITE] TOOL [ARG...]: of another suite of Debian's than those of this machine, such as bullseye, where it is named.
apt_for() {
	local arch=${1%%-*} tool=$2 dir=$KERNELS/apt-$1 of_suite=()
	[[ $1 == "$arch" ]] || of_suite=(-o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null)
	shift 2
	"$tool" -qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$dir" -o Debug::NoLocking=1 \
		-o "Dir::State::status=$dir/status" -o "Dir::Cache=$dir" -o APT::Sandbox::User=root "${of_suite[@]}" "$@" 2>>"$dir/log"
}

# The archive that this machine's own packages come from has the suite, too; apt checks its signature as ever.
write_sources() {
	local uri
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1)
	[[ -n $uri ]] || lacks "apt's lists name no archive of Debian; run: apt-get update"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $1 main"
}

update_lists() {
	local dir=$KERNELS/apt-$1
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	: >"$dir/status" >"$dir/log"
	[[ $1 != *-* ]] || write_sources "${1#*-}" >"$dir/sources.list"
	apt_for "$1" apt-get update || lacks "apt-get update: $(tail -n 1 "$dir/log")"
}

# unpack_debs DIR DEB...: unpacks into DIR, where /bin and /lib are those of /usr, as on a system.
unpack_debs() {
	local into=$1 deb name
	shift
	mkdir -p "$into"/usr/{bin,sbin,lib,lib64}
	for name in bin sbin lib lib64; do
		[[ -L $into/$name ]] || ln -s "usr/$name" "$into/$name"
	done
	for deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$into"
	done
}

# unpack ARCH DIR PACKAGE...: fetches these packages only, and unpacks them into DIR.
unpack() {
	local arch=$1 into=$2
	shift 2
	mkdir -p "$into.debs"
	(cd "$into.debs" && apt_for "$arch" apt-get download "$@") || lacks "apt has no $* for $arch, or cannot fetch it"
	unpack_debs "$into" "$into.debs"/*.deb
	rm -rf "$into.debs"
}

# unpack_all ARCH DIR PACKAGE...: with all that they depend on.
unpack_all() {
	local arch=$1 into=$2
	shift 2
	apt_for "$arch" apt-get install -y --no-install-recommends --download-only "$@" >/dev/null ||
		lacks "apt cannot fetch $* for $arch: $(tail -n 1 "$KERNELS/apt-$arch/log")"
	unpack_debs "$into" "$KERNELS/apt-$arch/archives"/*.deb
	rm -f "$KERNELS/apt-$arch/archives"/*.deb
}
