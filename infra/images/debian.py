"""The Debian all images stand on: from a registry where one answers, else made here from the machine's own package source.

No address is written down: `mmdebstrap` gets the files under `/etc/apt` that this machine itself installs from.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from infra.images.engine import docker, image_id, say
from infra.local.engine import host
from infra.local.failure import FarmError

REGISTRY_IMAGE = "debian:bookworm-slim"
TAG = "framelend/debian:bookworm"
SUITE = "bookworm"
PULL_SECONDS = 60
DROPPED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def debian_image() -> str:
    """The name of a local Debian image, pulled or made if there is none."""
    for name in (TAG, REGISTRY_IMAGE):
        if image_id(name):
            return name
    if _pulled():
        return REGISTRY_IMAGE
    say(f"no registry answers: making {TAG} from this machine's package source (about 20 s)")
    _make()
    return TAG


def _pulled() -> bool:
    try:
        return docker("pull", REGISTRY_IMAGE, seconds=PULL_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _make() -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise FarmError("images", "mmdebstrap is missing", advice="apt-get install --no-install-recommends mmdebstrap")
    options = [f"--dpkgopt=path-exclude={path}" for path in DROPPED]
    command = [program, "--quiet", "--variant=minbase", *options, SUITE, "-", *_sources()]
    load = ["docker", "-H", host(), "import", "-", TAG]
    with tempfile.TemporaryFile() as said:
        # In a group of its own: when nobody takes what it makes, it ends all of its group.
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, process_group=0) as maker:
            loaded = subprocess.run(load, stdin=maker.stdout, capture_output=True, text=True, check=False)
            if maker.stdout:
                maker.stdout.close()  # held open here, it would let the maker wait for ever for an engine that is gone
        said.seek(0)
        complaint = said.read().decode(errors="replace")
    if maker.returncode != 0 or loaded.returncode != 0:
        docker("image", "rm", TAG)
        why = " ".join(f"{loaded.stderr[-400:]} {complaint[-400:]}".split())
        raise FarmError("images", f"making {TAG} failed: {why}", advice="is there room on the disk, and is the network there?")


def _sources() -> list[str]:
    etc = Path("/etc/apt")
    found = [*etc.glob("sources.list.d/*.sources"), *etc.glob("sources.list.d/*.list"), *etc.glob("sources.list")]
    if not found:
        raise FarmError("images", "this machine has no apt sources", advice="run on Debian 12, or pull " + REGISTRY_IMAGE)
    return [str(path) for path in sorted(found)]
