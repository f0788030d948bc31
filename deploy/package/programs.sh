# shellcheck shell=bash disable=SC2034,SC2154
# The programs, and what they are made of.

tools=(hello-server hello-client hello-ping hello-load)
host_target=$(rustc -vV | sed --quiet 's/^host: //p')
static_targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)
native_static_target=$(uname -m)-unknown-linux-musl

# Prints the directory of the programs that Cargo built for a target.
cargo_output() {
    local folder=$profile
    [[ $profile != dev ]] || folder=debug
    echo "${CARGO_TARGET_DIR:-target}/$1/$folder"
}

# Builds the four programs for each of the targets, without the paths of this machine in them, and copies
# them to $work/programs/TARGET, without symbols.
build_programs() {
    local target arguments=()
    for target in "$@"; do
        arguments+=(--target "$target")
        if [[ $target != "$host_target" ]]; then
            rustup target add "$target"
        fi
    done
    say "building the programs for $*"
    local flags=(
        "--remap-path-prefix=$PWD=/hello"
        "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
        -Cstrip=symbols
    )
    # Rust brings a linker and a C library for the static targets, so no cross-compiler is needed.
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
        CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}") \
        cargo build --locked --package hello-cli --bins --profile "$profile" "${arguments[@]}"
    for target in "$@"; do
        mkdir -p "$work/programs/$target"
        (cd "$(cargo_output "$target")" && cp -- "${tools[@]}" "$work/programs/$target/")
        python3 deploy/package/inventory.py "$target" "$version" "$work/programs/$target" \
            "$work/inventory/$target"
        cp "$work/inventory/$target/sbom.cdx.json" "$out/hello-$version-$target.cdx.json"
    done
}
