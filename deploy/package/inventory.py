#!/usr/bin/env python3
"""Lists what the programs for a target contain: inventory.py TARGET VERSION PROGRAMS DIRECTORY

Writes to DIRECTORY a bill of materials (sbom.cdx.json, CycloneDX 1.5), the licences and notices of all
libraries (third-party-notices.txt) and those of Rust's standard library (rust-std-notices.html.gz). PROGRAMS is
the directory of the programs.
"""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path


def cargo(*arguments):
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def linked_crates(target):
    """Returns the names and versions of all crates in the programs. Build scripts and macros are not."""
    edges = "normal,no-proc-macro"
    lines = cargo("tree", "--package", "hello-cli", "--target", target, "--edges", edges,
                  "--prefix", "none", "--no-dedupe", "--format", "{p}").splitlines()
    return sorted({tuple(line.replace(" v", " ").split(" ")[:2]) for line in lines})


def component(package, checksums):
    reference = f"pkg:cargo/{package['name']}@{package['version']}"
    entry = {
        "type": "library",
        "bom-ref": reference,
        "name": package["name"],
        "version": package["version"],
        "scope": "required",
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
    }
    # Our own crates are in no registry.
    if package["source"] is not None:
        entry["purl"] = reference
        checksum = checksums[package["name"], package["version"]]
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def standard_library(target):
    lines = subprocess.check_output(["rustc", "-vV"], text=True).splitlines()
    version = next(line.removeprefix("release: ") for line in lines if line.startswith("release: "))
    with_musl = " and the musl C library" if target.endswith("-musl") else ""
    return {
        "type": "library",
        "bom-ref": f"rust-std@{version}",
        "name": "rust-std",
        "version": version,
        "description": f"Rust's standard library{with_musl}, as shipped with the compiler",
        "scope": "required",
        "licenses": [{"expression": "(MIT OR Apache-2.0) AND MIT" if with_musl else "MIT OR Apache-2.0"}],
    }


def programs(directory):
    return [
        {
            "type": "application",
            "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        }
        for path in sorted(directory.iterdir())
    ]


# The names of files with licences start with one of these.
LICENCE_FILES = ("COPYING", "LICENCE", "LICENSE", "NOTICE", "UNLICENSE")


def crate_notices(packages):
    """Yields the text of each licence file once, after the crates that ship it."""
    found = {}
    for package in packages:
        if package["source"] is None:
            continue
        name = f"{package['name']} {package['version']} ({package['license']})"
        files = [
            path for path in sorted(Path(package["manifest_path"]).parent.iterdir())
            if path.is_file() and path.name.upper().startswith(LICENCE_FILES)
        ]
        for path in files:
            found.setdefault(path.read_text(errors="replace").strip(), []).append(name)
        if not files:
            authors = ", ".join(package["authors"]) or "the authors of " + package["name"]
            found.setdefault(f"The package has no licence file. Authors: {authors}", []).append(name)
    for text, names in found.items():
        yield "\n".join(dict.fromkeys(names)) + "\n\n" + text + "\n"


def notices(packages, target):
    head = "Hello's programs contain the libraries below. Each part names the libraries that its text is about."
    parts = [head + "\n", *crate_notices(packages)]
    parts.append("Rust's standard library (MIT OR Apache-2.0)\n\nIts notices are in rust-std-notices.html.gz.\n")
    if target.endswith("-musl"):
        _, permission = Path("LICENSE-MIT").read_text().split("\n", 1)
        parts.append("musl (MIT)\n\nCopyright (c) 2005-2020 Rich Felker, et al.\n" + permission)
    return ("\n" + "-" * 80 + "\n\n").join(parts)


def standard_library_notices():
    """Returns the file with the notices of the standard library, which every toolchain of rustup has."""
    root = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
    return Path(root) / "share/doc/rust/COPYRIGHT-library.html"


def main():
    target, version, program_directory, directory = sys.argv[1:]
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    lock = tomllib.loads(Path("Cargo.lock").read_text())
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}

    linked = linked_crates(target)
    by_name = {(package["name"], package["version"]): package for package in metadata["packages"]}
    packages = [by_name[crate] for crate in linked]
    references = {package["id"]: f"pkg:cargo/{package['name']}@{package['version']}" for package in packages}
    dependencies = [
        {
            "ref": references[node["id"]],
            "dependsOn": sorted({
                references[dependency["pkg"]] for dependency in node["deps"]
                if dependency["pkg"] in references
                and any(kind["kind"] is None for kind in dependency["dep_kinds"])
            }),
        }
        for node in metadata["resolve"]["nodes"] if node["id"] in references
    ]
    std = standard_library(target)
    seconds = int(os.environ["SOURCE_DATE_EPOCH"])
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
            "component": {
                "type": "application",
                "bom-ref": "hello",
                "name": "hello",
                "version": version,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
                "properties": [{"name": "target", "value": target}],
                "components": programs(Path(program_directory)),
            },
        },
        "components": [*(component(package, checksums) for package in packages), std],
        "dependencies": [
            {"ref": "hello", "dependsOn": ["pkg:cargo/hello-cli@" + version, std["bom-ref"]]},
            *sorted(dependencies, key=lambda dependency: dependency["ref"]),
        ],
    }
    (directory / "sbom.cdx.json").write_text(json.dumps(bill, indent=2) + "\n")
    (directory / "third-party-notices.txt").write_text(notices(packages, target))
    html = standard_library_notices().read_bytes()
    (directory / "rust-std-notices.html.gz").write_bytes(gzip.compress(html, mtime=0))


if __name__ == "__main__":
    main()
