"""Builds a release of the commit that is checked out: python -m tools.release. docs/releasing.md has the steps.

The files follow from the commit and the base image alone: whoever builds them anew gets the same SHA256SUMS.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tools.contract import ROOT
from tools.release import image, packages, provenance, sbom, signing, source, verify
from tools.release.archive import write_tar

NAME = "call-request-gateway"


def build(commit: source.Source, out: Path, base: str | None, stubs: Sequence[str]) -> dict[str, str]:
    """Writes the release's files; returns the base image's digest by its name. base: None: no image."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "CHANGES.md").write_text(f"# {NAME} {commit.version}\n\n{commit.changes}")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        source.export(tree)
        _announce("wheel and source archive")
        packages.build_python(tree, commit.epoch, out)
        _announce("stubs")
        packages.build_stubs(tree, stubs, out / "stubs")
        _announce("chart")
        if not packages.build_chart(tree, commit.epoch, out):
            _announce("no chart: no deploy/chart, or no helm (tools/go/install chart)")
        if base is None:
            return {}
        _announce("image")
        return _build_image(tree, commit, out, base)


def _build_image(tree: Path, commit: source.Source, out: Path, base: str) -> dict[str, str]:
    image.require_buildah()
    name, identity = image.prepare_base(base)
    built = image.build(tree, name, commit.version, commit.revision, commit.epoch)
    with tempfile.TemporaryDirectory() as folder:
        layout = Path(folder)
        image.write_layout(built, f"{NAME}:{commit.version}", layout)
        (out / f"{NAME}-{commit.version}-image.cdx.json").write_text(sbom.bill_of_materials(layout, commit))
        write_tar(layout, commit.epoch, out / f"{NAME}-{commit.version}-image.tar")
    image.remove(built)
    return {name: identity}


def _announce(what: str) -> None:
    print(f"{what} …", flush=True)


def main() -> int:
    """Prints what was built; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description="Builds a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/release", metavar="FOLDER", help="made anew")
    parser.add_argument(
        "--base", default=image.DEFAULT_BASE, help=f"the image's base; `{image.LOCAL}`: made of this machine's Debian"
    )
    parser.add_argument("--no-image", dest="base", action="store_const", const=None)
    parser.add_argument("--stubs", nargs="*", default=[], metavar="LANGUAGE", help="all, unless given")
    parser.add_argument("--key", type=Path, help="cosign.key; its password is COSIGN_PASSWORD. Without it: not signed")
    options = parser.parse_args()
    started, out = datetime.now(UTC), options.out.resolve()
    password = os.environ.get("COSIGN_PASSWORD", "")
    try:
        if options.key:
            signing.require_key(options.key, password)
        commit = source.read_source()
        base = build(commit, out, options.base, options.stubs)
    except (source.NotReleasableError, image.NoImageError, signing.UnusableKeyError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{Path(error.cmd[0]).name} failed with exit code {error.returncode}", file=sys.stderr)
        return 1
    sums = verify.sums_of(out)
    (out / verify.SUMS).write_text(verify.written(sums))
    statement = out / f"{verify.PROVENANCE}.json"
    provenance.write_statement(provenance.provenance(commit, sums, base, started), statement)
    if options.key:
        signing.sign(out / verify.SUMS, options.key, password)
        signing.attest(statement, options.key, password)
    print("", verify.written(sums), f"{out}: {'signed' if options.key else 'not signed: --key'}", sep="\n")
    if not commit.tagged:
        print(f"A rehearsal: this commit has no tag v{commit.version}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
