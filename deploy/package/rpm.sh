# shellcheck shell=bash disable=SC2034,SC2154
# A package for Fedora and its relatives.

build_rpm() {
    local root=$work/rpm units services
    units=$(cd deploy/systemd && echo *.service *.socket)
    services=$(cd deploy/systemd && echo *.service)
    lay_out "$host_target" "$root/usr" /usr "$root/usr/lib/systemd/system" site-functions
    mkdir -p "$root/usr/share/licenses/hello-udp"
    cp LICENSE-MIT LICENSE-APACHE "$root/usr/share/licenses/hello-udp/"
    cp CHANGELOG.md "$root/usr/share/doc/hello-udp/"
    set_times "$root"
    rpmbuild -bb --quiet --buildroot "$work/rpm-buildroot" \
        --define "_topdir $work/rpmbuild" --define "_rpmdir $out" --define "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm" \
        --define "hello_version $version" --define "hello_root $root" \
        --define "hello_units $units" --define "hello_services $services" \
        --target "$(uname -m)" deploy/package/rpm/hello-udp.spec
}
