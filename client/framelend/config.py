"""Which farm, and as whom: from the environment (FRAMELEND_URL, FRAMELEND_KEY), else from the file `framelend login` wrote."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from framelend.problems import LocalProblem

HERE = ("localhost", "127.0.0.1", "::1")


class NotLoggedIn(LocalProblem):
    """No farm or no key is known."""


@dataclass(frozen=True)
class Login:
    url: str
    key: str


def config_file(env: Mapping[str, str] = os.environ) -> Path:
    return _home(env, "XDG_CONFIG_HOME", ".config") / "framelend" / "config.toml"


def memory_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Where broken uploads are remembered."""
    return _home(env, "XDG_CACHE_HOME", ".cache") / "framelend" / "uploads"


def login(env: Mapping[str, str] = os.environ) -> Login:
    """Raises NotLoggedIn."""
    saved = _saved(config_file(env))
    url, key = env.get("FRAMELEND_URL") or saved.get("url", ""), env.get("FRAMELEND_KEY") or saved.get("key", "")
    if not url or not key:
        raise NotLoggedIn("Not logged in: run `framelend login URL`, or set FRAMELEND_URL and FRAMELEND_KEY.")
    return Login(url, key)


def address(typed: str) -> str:
    """As people type a farm's address: its scheme may be left out. A key spends money, so http is for this machine only."""
    return typed if "://" in typed else f"{'http' if _host(f'//{typed}') in HERE else 'https'}://{typed}"


def in_clear(url: str) -> bool:
    """Whether a key sent there can be read on the way."""
    return url.lower().startswith("http://") and _host(url) not in HERE


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None  # it is told as no address when it is used


def save(to: Login, env: Mapping[str, str] = os.environ) -> Path:
    """Readable by its owner only, from its first byte on."""
    path = config_file(env)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"url = {json.dumps(to.url)}\nkey = {json.dumps(to.key)}\n")
    fresh.replace(path)
    return path


def _saved(path: Path) -> dict[str, str]:
    try:
        return {name: str(value) for name, value in tomllib.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as wrong:
        raise LocalProblem(f"{path} cannot be read ({wrong}); log in again.") from None


def _home(env: Mapping[str, str], variable: str, usual: str) -> Path:
    return Path(env[variable]) if env.get(variable) else Path.home() / usual
