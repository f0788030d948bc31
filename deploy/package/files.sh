# shellcheck shell=bash disable=SC2034,SC2154
# The files that every package has beside its programs.

# Copies the programs for a target to a directory, with their manual pages, completions, units and
# documentation.
# lay_out TARGET DIRECTORY PREFIX UNITS ZSH
#   DIRECTORY  stands for PREFIX, where the programs will be, in bin
#   UNITS      the directory of the systemd units
#   ZSH        the directory of zsh's completions, in DIRECTORY/share/zsh
lay_out() {
    local target=$1 base=$2 prefix=$3 units=$4 zsh=$5 tool native=$1
    # Programs that run here print the pages of all targets.
    [[ $target != *-musl ]] || native=$native_static_target
    local share=$base/share doc=$base/share/doc/hello-udp
    mkdir -p "$base/bin" "$units" "$share"/{man/man1,bash-completion/completions,zsh/"$zsh"} \
        "$share/fish/vendor_completions.d" "$doc"/{examples,pictures}

    for tool in "${tools[@]}"; do
        install "$work/programs/$target/$tool" "$base/bin/"
        "$work/programs/$native/$tool" --generate man > "$share/man/man1/$tool.1"
        gzip -9n "$share/man/man1/$tool.1"
        "$work/programs/$native/$tool" --generate complete-bash > "$share/bash-completion/completions/$tool"
        "$work/programs/$native/$tool" --generate complete-zsh > "$share/zsh/$zsh/_$tool"
        "$work/programs/$native/$tool" --generate complete-fish > "$share/fish/vendor_completions.d/$tool.fish"
    done

    local file
    for file in deploy/systemd/*; do
        case $file in
            *.conf) sed "s|/usr/local/bin/|$prefix/bin/|" "$file" > "$doc/examples/${file##*/}" ;;
            *) sed "s|/usr/local/bin/|$prefix/bin/|" "$file" > "$units/${file##*/}" ;;
        esac
    done
    # Ready-made files for other systems. What builds packages is for a checkout.
    for file in deploy/*/; do
        case $file in
            deploy/container/ | deploy/package/ | deploy/systemd/) ;;
            *) cp -r "${file%/}" "$doc/examples/" ;;
        esac
    done

    cp docs/{load,measuring,operations,performance,protocol,security,systems}.md docs/*.schema.json \
        docs/*.svg "$doc/"
    # These links are for a checkout.
    sed --in-place 's|](\.\./deploy)|](examples)|' "$doc"/*.md
    cp docs/pictures/*.svg "$doc/pictures/"
    cp "$work/inventory/$target"/* "$doc/"
    find "$doc" -type d -exec chmod 755 {} + , -type f -exec chmod 644 {} +
}

# Gives everything in a directory the time of the commit.
set_times() {
    find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

# Writes an archive of a path in a directory that depends on nothing but the files in it.
write_tar() {
    tar --create --directory "$1" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner "$2"
}
