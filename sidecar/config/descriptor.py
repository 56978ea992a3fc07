"""A descriptor: one place where message types are learnt. It is found here, and loaded when the sidecar starts."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo

from sidecar.config.values import read_file
from sidecar.units import BadValue, one_of, text_of

DESCRIPTOR_SUFFIXES = (".binpb", ".pb", ".desc")
DESCRIPTOR_FORM = f"an importable module, a file that ends in {one_of(DESCRIPTOR_SUFFIXES)}, or `reflection`"
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class DescriptorKind(StrEnum):
    MODULE = "module"
    FILE = "file"
    REFLECTION = "reflection"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where message types are learnt."""

    kind: DescriptorKind
    module: str = ""
    """Dotted name of an importable `_pb2` module."""
    path: Path = Path()
    """A serialized FileDescriptorSet."""

    def __str__(self) -> str:
        return {"module": self.module, "file": str(self.path), "reflection": "reflection"}[self.kind]


def read_descriptor(value: Any, info: ValidationInfo) -> Descriptor:
    text = text_of(value, DESCRIPTOR_FORM)
    if text == DescriptorKind.REFLECTION:
        return Descriptor(DescriptorKind.REFLECTION)
    if text.endswith(DESCRIPTOR_SUFFIXES):
        return Descriptor(DescriptorKind.FILE, path=read_file(text, info))
    if not _MODULE.fullmatch(text):
        raise BadValue(DESCRIPTOR_FORM)
    return Descriptor(DescriptorKind.MODULE, module=importable(text))


def importable(module: str) -> str:
    """The module's name, if Python can find it. Its packages are imported for that, the module itself is not."""
    try:
        is_there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise BadValue(f"a module whose own imports are installed ({error})") from error
        is_there = False
    except Exception as error:  # importing a package runs its code, which may raise anything
        raise BadValue(f"a module that can be imported ({type(error).__name__}: {error})") from error
    if not is_there:
        raise BadValue("a module that can be imported here (check PYTHONPATH and what is installed)")
    return module
