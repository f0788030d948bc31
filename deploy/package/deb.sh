# shellcheck shell=bash disable=SC2034,SC2154
# A package for Debian and Ubuntu, made by dpkg's own tools.

# Prints who maintains the package: DEBFULLNAME and DEBEMAIL, or else the author of the last commit.
maintainer() {
    local name email
    name=${DEBFULLNAME:-$(git log -1 --format=%an)}
    email=${DEBEMAIL:-$(git log -1 --format=%ae)}
    echo "$name <$email>"
}

# Copies a template with what this package has.
fill_in() {
    local units services maintainer copyright
    units=$(cd deploy/systemd && echo *.service *.socket)
    services=$(cd deploy/systemd && echo *.service)
    maintainer=$(maintainer)
    copyright=$(sed --quiet 's/^Copyright (c) //p' LICENSE-MIT)
    sed --expression "s|@UNITS@|$units|; s|@SERVICES@|$services|" \
        --expression "s|@MAINTAINER@|$maintainer|; s|@COPYRIGHT@|$copyright|" \
        --expression '/^@EXPAT@$/ {' --expression "r $work/expat" --expression d --expression '}' \
        "deploy/package/deb/$1" > "$2"
}

build_deb() {
    local root=$work/deb debian=$work/debian-source/debian control
    lay_out "$host_target" "$root/usr" /usr "$root/lib/systemd/system" vendor-completions
    mkdir -p "$debian" "$root/DEBIAN" "$root/usr/share/lintian/overrides"
    cp deploy/package/deb/lintian-overrides "$root/usr/share/lintian/overrides/hello-udp"

    # The text of the licence, as a field of the copyright file.
    sed --quiet '3,$ { s/^$/./; s/^/ /; p }' LICENSE-MIT > "$work/expat"
    local doc=$root/usr/share/doc/hello-udp
    fill_in copyright "$doc/copyright"
    gzip -9n < CHANGELOG.md > "$doc/changelog.gz"
    cat > "$debian/changelog" << END
hello-udp ($version-1) unstable; urgency=medium

  * Built from the sources of Hello $version; changelog.gz lists their changes.

 -- $(maintainer)  $(date --rfc-email --date="@$SOURCE_DATE_EPOCH")
END
    gzip -9n < "$debian/changelog" > "$doc/changelog.Debian.gz"
    for control in postinst prerm postrm; do
        fill_in "$control" "$root/DEBIAN/$control"
        chmod 755 "$root/DEBIAN/$control"
    done
    fill_in control "$debian/control"
    (
        cd "$root"
        find lib usr -type f -print0 | sort --zero-terminated | xargs --null md5sum > DEBIAN/md5sums
        cd "$debian/.."
        dpkg-shlibdeps -Tdebian/substvars "$root"/usr/bin/*
        dpkg-gencontrol -phello-udp -Tdebian/substvars -fdebian/files -P"$root" -O"$root/DEBIAN/control"
    )
    set_times "$root"
    # Compressed so that every supported release of Debian and Ubuntu reads it.
    dpkg-deb --root-owner-group -Zxz --build "$root" "$out"
}
