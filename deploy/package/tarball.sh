# shellcheck shell=bash disable=SC2034,SC2154
# Archives of static programs, to unpack into /usr/local.

# Lays out the tree of a target's archive, which is also the context of its image.
lay_out_tarball() {
    local target=$1 tree=$work/hello-$version-$1
    lay_out "$target" "$tree" /usr/local "$tree/lib/systemd/system" site-functions
    cp LICENSE-MIT LICENSE-APACHE CHANGELOG.md "$tree/share/doc/hello-udp/"
    set_times "$tree"
}

build_tarball() {
    local name=hello-$version-$1
    write_tar "$work" "$name" | gzip -9n > "$out/$name.tar.gz"
}
