"""Fetching what a job made: straight from the store, each file checked against its SHA-256 before it gets its name."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import httpx

from framelend.models import Download
from framelend.problems import FarmUnreachable, LocalProblem

if TYPE_CHECKING:
    from framelend.client import Client

AT_ONCE = 4
PER_QUESTION = 100
TRIES = 5
PIECE = 1 << 20
Fetched = Callable[[Path, int], None]


class Damaged(LocalProblem):
    """What came is not what the farm said."""


def fetch(client: "Client", job: str, names: Sequence[str], folder: Path, fetched: Fetched) -> list[Path]:
    """These of the job's names into the folder; those already there and whole are left. Raises FarmProblem, FarmUnreachable,
    LocalProblem."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    with httpx.Client(timeout=httpx.Timeout(20.0, read=120.0)) as store, ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(names), PER_QUESTION):
            granted = client.downloads(job, names[start : start + PER_QUESTION])
            if granted.missing:
                raise LocalProblem(f"The job has no {', '.join(granted.missing[:5])}.")
            jobs = [pool.submit(_one, client, store, one, folder / file_name(one), fetched, job) for one in granted.downloads]
            try:
                found += [job.result() for job in as_completed(jobs)]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return sorted(found)


def fetch_one(client: "Client", download: Download, path: Path) -> None:
    """Raises FarmUnreachable, Damaged."""
    with httpx.Client(timeout=httpx.Timeout(20.0, read=120.0)) as store:
        _one(client, store, download, path, lambda _, __: None)


def file_name(download: Download) -> str:
    """A plain name in one folder, whatever the farm calls it: `frames/7` → `0007.png`."""
    kind, _, rest = download.name.rpartition("/")
    if kind in ("frames", "thumbnails") and rest.lstrip("-").isdigit():
        suffix = PurePosixPath(httpx.URL(download.url).path).suffix or (".png" if kind == "frames" else ".jpg")
        return f"{int(rest):04d}{suffix}"
    plain = rest.replace("\\", "_").lstrip(".")
    if not plain:
        raise LocalProblem(f"The farm named a file {download.name!r}, which is no name here.")
    return plain


def frame_numbers(text: str) -> Iterator[int]:
    """Of a frame list as the farm writes it: `1-4,9,20-30x2`."""
    for part in filter(None, text.split(",")):
        whole, _, step = part.partition("x")
        first, dash, last = whole[1:].partition("-") if whole.startswith("-") else whole.partition("-")
        begin = -int(first) if whole.startswith("-") else int(first)
        yield from range(begin, (int(last) if dash else begin) + 1, int(step or 1))


def _one(client: "Client", store: httpx.Client, download: Download, path: Path, fetched: Fetched, job: str = "") -> Path:
    """Of a job, an address that the store takes no longer is asked for anew: on a slow line it runs out before its turn comes."""
    if not (path.exists() and path.stat().st_size == download.bytes and _hash_of(path) == download.sha256):
        for attempt in range(1, TRIES + 1):
            try:
                _get(store, download, path)
                break
            except (httpx.TransportError, httpx.HTTPStatusError, Damaged) as broken:
                if attempt == TRIES:
                    raise _gave_up(download, broken) from broken
                client.rest(attempt)
                if job and isinstance(broken, httpx.HTTPStatusError):
                    download = client.downloads(job, [download.name]).downloads[0]
    fetched(path, download.bytes)
    return path


def _gave_up(download: Download, broken: Exception) -> Exception:
    return (
        broken
        if isinstance(broken, Damaged)
        else FarmUnreachable(f"{download.name} could not be fetched: {type(broken).__name__}.")
    )


def _get(store: httpx.Client, download: Download, path: Path) -> None:
    """What has come before the line broke is not fetched again."""
    partial = path.with_name(f".{path.name}.part")
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={have}-"} if 0 < have < download.bytes else {}
    with store.stream("GET", download.url, headers=headers) as answer:
        answer.raise_for_status()
        with partial.open("ab" if answer.status_code == httpx.codes.PARTIAL_CONTENT else "wb") as file:
            for piece in answer.iter_bytes():
                file.write(piece)
    if partial.stat().st_size != download.bytes or _hash_of(partial) != download.sha256:
        partial.unlink(missing_ok=True)
        raise Damaged(f"{download.name} came damaged: its SHA-256 is not what the farm says. Try again.")
    partial.replace(path)


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
