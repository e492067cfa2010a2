"""Settings: frozen, typed models read from TOML or JSON, with errors for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from willis.errors import BadInputError


class Settings(BaseModel):
    """Base of every configuration: frozen; a name that it doesn't know is an error, as NaN and infinity are."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Read plain values.

        Parameters
        ----------
        values
            As read from TOML or JSON.
        where
            What they configure, for the message: ``"the recipe wmh.toml"``.

        Raises
        ------
        BadInputError
            With one clause for each wrong entry: its name, what was found, what is allowed.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise BadInputError(f"{where}: {'; '.join(_clause(cls, e) for e in error.errors())}.") from None


def _clause(model: type[BaseModel], error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    name = ".".join(path) or "the whole"
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting; allowed are {', '.join(_allowed(model, path[:-1]))}"
    if error["type"] == "missing":
        return f"{name} is missing"
    return f"{name} is {error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _allowed(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        model = _model_within(field.annotation if field is not None else None) or model
    return sorted(model.model_fields)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The settings that an annotation holds: ``Inner``, ``Inner | None``, ``tuple[Inner, ...]``."""
    candidates = (annotation, *get_args(annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
