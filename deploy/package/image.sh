# shellcheck shell=bash disable=SC2034,SC2154
# Container images of the static programs. Nothing is downloaded or run for it.

build_image() {
    local target=$1 arch
    case $target in
        x86_64-*) arch=amd64 ;;
        aarch64-*) arch=arm64 ;;
    esac
    local storage=$work/storage-$arch layout=$work/layout-$arch
    # A store of its own, so that nothing stays behind.
    local buildah=(buildah --storage-driver vfs --root "$storage" --runroot "$storage-run")
    # Quiet, it still prints the identifier of the image.
    "${buildah[@]}" bud --quiet --isolation chroot --arch "$arch" --timestamp "$SOURCE_DATE_EPOCH" \
        --label "org.opencontainers.image.version=$version" --tag "hello:$version" \
        --file deploy/container/Containerfile "$work/hello-$version-$target" > /dev/null
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' > "$work/policy.json"
    "${buildah[@]}" push --quiet --signature-policy "$work/policy.json" "hello:$version" \
        "oci:$layout:hello:$version"
    # buildah's own archives have the time at which they were written.
    write_tar "$layout" . > "$out/hello-$version-$arch.oci.tar"
}
