#!/usr/bin/env bash
# Builds packages of the four tools; `--help` describes it. The steps are in deploy/package/.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

usage() {
    cat << 'END'
Build packages of the four tools from this checkout.

Usage: deploy/package.sh [OPTION]... [DIRECTORY]

The packages go to DIRECTORY (default: target/packages). Beside them stand a bill of materials for each
target (*.cdx.json, CycloneDX) and SHA256SUMS.

Options:
      --deb                Build a package for Debian and Ubuntu
      --rpm                Build a package for Fedora and its relatives
      --tarballs           Build an archive of static programs for Linux on x86-64, and one for AArch64
      --image              Build container images of the static programs, as OCI archives
      --profile PROFILE    Build the programs with this Cargo profile (default: release)
  -h, --help               Print this help

Without the first four options, everything is built that this machine has the programs for, and the rest
is reported as SKIPPED. Two runs on one commit, with one toolchain, give the same packages.
END
}

fail() {
    echo "deploy/package.sh: $*" >&2
    exit 1
}

all_kinds=(deb rpm tarballs image)
declare -A requested=()
profile=release
out=
while (($#)); do
    case $1 in
        --deb | --rpm | --tarballs | --image) requested[${1#--}]=yes ;;
        --profile)
            (($# > 1)) || fail "--profile needs the name of a Cargo profile"
            profile=$2
            shift
            ;;
        -h | --help)
            usage
            exit
            ;;
        -*) fail "unknown option $1; see --help" ;;
        *)
            [[ -z $out ]] || fail "there are two directories, $out and $1; name one"
            out=$1
            ;;
    esac
    shift
done
out=${out:-target/packages}

[[ $(uname -s) == Linux ]] || fail "packages are built on Linux"
command -v python3 > /dev/null || fail "python3 is missing; install it"

# The programs that a package needs beyond Cargo, each with the Debian package that has it.
needs() {
    case $1 in
        deb) echo dpkg-shlibdeps:dpkg-dev dpkg-deb:dpkg ;;
        rpm) echo rpmbuild:rpm ;;
        tarballs) echo rustup:rustup ;;
        image) echo rustup:rustup buildah:buildah ;;
    esac
}

# Fills `build` with the kinds of packages to build.
declare -A build=()
choose() {
    local kind need missing
    for kind in "${all_kinds[@]}"; do
        ((${#requested[@]} == 0)) || [[ -v requested[$kind] ]] || continue
        missing=()
        for need in $(needs "$kind"); do
            command -v "${need%:*}" > /dev/null || missing+=("${need%:*} (Debian package ${need#*:})")
        done
        if ((${#missing[@]} == 0)); then
            build[$kind]=yes
        elif [[ -v requested[$kind] ]]; then
            fail "--$kind needs ${missing[*]}"
        else
            echo "SKIPPED: $kind, because this machine lacks ${missing[*]}" >&2
        fi
    done
}
choose

version=$(sed --quiet 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp --directory)
trap 'rm -r "$work"' EXIT

say() { echo "deploy/package.sh: $*"; }

source deploy/package/programs.sh
source deploy/package/files.sh
source deploy/package/deb.sh
source deploy/package/rpm.sh
source deploy/package/tarball.sh
source deploy/package/image.sh

if [[ -v build[deb] || -v build[rpm] ]]; then
    build_programs "$host_target"
    [[ ! -v build[deb] ]] || build_deb
    [[ ! -v build[rpm] ]] || build_rpm
fi
if [[ -v build[tarballs] || -v build[image] ]]; then
    build_programs "${static_targets[@]}"
    for target in "${static_targets[@]}"; do
        lay_out_tarball "$target"
        [[ ! -v build[tarballs] ]] || build_tarball "$target"
        [[ ! -v build[image] ]] || build_image "$target"
    done
fi

cd "$out"
shopt -s nullglob
packages=(*.deb *.rpm *.tar.gz *.oci.tar *.cdx.json)
((${#packages[@]})) || fail "nothing was built"
sha256sum -- "${packages[@]}" > SHA256SUMS
say "$out has:"
ls -l --human-readable --no-group -- "${packages[@]}" SHA256SUMS
