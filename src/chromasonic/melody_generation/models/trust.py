"""Trust in names of classes: which may be imported because a file says so.

A model folder or a result names its model's class. To import a module runs its code, so only
built-in classes are imported by name, classes that this user has searched on this computer, and
whatever the user names himself. What this user searches is signed with a key in the home
directory; the signature stands beside the name.
"""

import hmac
import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from secrets import token_bytes

from torch import nn

from chromasonic.errors import ModelError, one_line
from chromasonic.melody_generation.models import MODELS
from chromasonic.tuning.files import read_bounded

_KEY_BYTES = 32
BUILT_IN = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in MODELS.values()}


def sign(name: str) -> str:
    """The signature of a class's name by this user; empty where no key can be kept."""
    key = _key(create=True)
    return _signature(name, key) if key else ""


def import_model_class(
    name: str, signature: str = "", *, trust_code: bool = False
) -> type[nn.Module]:
    """Imports a model class by its full name.

    Args:
        name: Module and class, such as `my_models.Net`.
        signature: As `sign` gave it when the name was written.
        trust_code: True to import it whoever has written the name.

    Raises:
        ModelError: Its name is not trusted, it cannot be imported, or it is not a
            `torch.nn.Module`.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if not (trust_code or _is_signed(name, signature)):
        raise ModelError(
            f"the model's class {name} is not built in, and this computer has not written its "
            "name: to import it runs its code. If you trust it, pass the class as model_class, "
            "or give --trust-code."
        )
    module, _, class_ = name.rpartition(".")
    try:
        found = getattr(import_module(module), class_)
    except Exception as error:
        raise ModelError(
            f"the model's class must be importable, but {name} is not: {one_line(error)}. "
            "Put its module on the Python path, or pass the class as model_class."
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelError(f"the model's class must be a torch.nn.Module, but {name} is not.")
    return found


def _is_signed(name: str, signature: str) -> bool:
    key = _key(create=False)
    return key is not None and hmac.compare_digest(_signature(name, key), signature)


def _signature(name: str, key: bytes) -> str:
    return hmac.new(key, f"model class {name}".encode(), "sha256").hexdigest()


def _key(*, create: bool) -> bytes | None:
    """The user's key; None if there is none and none can be made."""
    home = os.environ.get("XDG_DATA_HOME")
    with suppress(OSError, RuntimeError):
        folder = (Path(home) if home else Path.home() / ".local" / "share") / "chromasonic"
        file = folder / "key"
        if create and not file.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                with os.fdopen(os.open(file, flags, 0o600), "wb") as stream:
                    stream.write(token_bytes(_KEY_BYTES))
        key = read_bounded(file, _KEY_BYTES)
        return key if len(key) == _KEY_BYTES else None
    return None
