"""Reading a run file, TOML or JSON, and holding it against the schema: every fault at once."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from causal_scrubbing._claims.faults import Fault, RunFileError, pointer
from causal_scrubbing._claims.schema import RUN_FILE
from causal_scrubbing._files import DEEPEST, depth_of

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

LARGEST: Final = 16 * 2**20
_SHOWN: Final = 80


def read_run(file: Path) -> dict[str, Any]:
    """A run file as plain data that fits the schema.

    Args:
        file: TOML if its name ends in .toml, else JSON.

    Raises:
        RunFileError: it cannot be read, or does not fit; lists every fault with its place.
    """
    body = read_plain(file)
    faults = schema_faults(body, RUN_FILE)
    if faults:
        raise RunFileError(faults, file=str(file))
    assert isinstance(body, dict)
    return body


def read_plain(file: Path) -> Any:
    """A TOML or JSON file as plain data.

    Raises:
        RunFileError: there is no such file, it is too large, or it is not TOML or JSON.
    """

    def refuse(code: str, message: str, hint: str) -> RunFileError:
        return RunFileError([Fault(code, "", message, hint)], file=str(file))

    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise refuse("missing-file", f"it cannot be read: {error.strerror}.", "") from error
    if len(content) > LARGEST:
        raise refuse(
            "too-large",
            f"it has more than {LARGEST // 2**20} MiB.",
            "Keep data in a file of its own and name it.",
        )
    kind = "TOML" if file.suffix.lower() == ".toml" else "JSON"
    try:
        text = content.decode("utf-8")
        body = (
            tomllib.loads(text)
            if kind == "TOML"
            else json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        )
        depth = depth_of(body)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise refuse("syntax", f"it is not {kind}: {why}.", "Mend it there.") from error
    if depth > DEEPEST:
        raise refuse("syntax", f"it is nested more than {DEEPEST} deep.", "Use flat claims.")
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice in one object")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def schema_faults(body: Any, schema: Mapping[str, Any], *place: object) -> list[Fault]:
    """Where data does not fit a schema, in the order of the file.

    Args:
        body: the data.
        schema: a JSON Schema.
        place: where in the file the data lies.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # JSON Schema takes 500.0 for an integer, and Python does not.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, one: type(one) is int)
    made = extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    validator = made(schema)
    try:
        found = [fault for error in validator.iter_errors(body) for fault in _of(error, place)]
    except RecursionError:
        what = "claims or features are nested too deeply."
        return [Fault("syntax", pointer(*place), what, "Use the flat list, claims.")]
    found += [
        Fault("number", pointer(*place, *where), "it is not a finite number.", "Give a number.")
        for where in _not_finite(body, ())
    ]
    return list({(one.code, one.place, one.message): one for one in found}.values())


def _of(error: ValidationError, place: tuple[object, ...]) -> Iterator[Fault]:
    """What an error of the library says, as faults of ours."""
    where = pointer(*place, *error.absolute_path)
    said: Any = error.instance
    wanted: Any = error.validator_value
    known = list(error.schema.get("properties", {})) if isinstance(error.schema, Mapping) else []
    match error.validator:
        case "additionalProperties":
            for key in [key for key in said if key not in known]:
                yield Fault(
                    "unknown-key",
                    pointer(*place, *error.absolute_path, key),
                    f"there is no entry {key!r} here.",
                    _near(key, known),
                )
        case "required":
            for key in [key for key in wanted if key not in said]:
                yield Fault("missing-key", where, f"it has no {key!r}.", "Add it.")
        case "type":
            types = [wanted] if isinstance(wanted, str) else wanted
            yield Fault(
                "type", where, f"{_brief(said)} is not {_words(types)}.", "Give one of that type."
            )
        case "enum":
            yield Fault("value", where, f"{_brief(said)} is not known here.", _near(said, wanted))
        case "const":
            yield Fault("value", where, f"{_brief(said)} is not {wanted!r}.", f"Give {wanted!r}.")
        case "oneOf" | "anyOf" if isinstance(said, Mapping):
            keys = [repr(one["required"][0]) for one in wanted]
            count = "exactly" if error.validator == "oneOf" else "at least"
            given = sum(one["required"][0] in said for one in wanted)
            yield Fault(
                "choice",
                where,
                f"it has {given} of {', '.join(keys)}.",
                f"Give {count} one of them.",
            )
        case "oneOf" | "anyOf":
            return  # of what is not a table the type is told
        case _:
            rule = f"{error.validator} {wanted!r}"
            yield Fault("value", where, f"{_brief(said)} breaks the rule {rule}.", "Change it.")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _words(types: list[str]) -> str:
    names = {"object": "a table", "array": "a list", "string": "a text", "integer": "an integer"}
    return " or ".join(names.get(one, f"a {one}") for one in types)


def _near(given: Any, known: list[Any]) -> str:
    texts = [str(one) for one in known]
    near = get_close_matches(str(given), texts, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"There is {', '.join(map(repr, texts))}." if texts else "Leave it out."


def _not_finite(body: Any, place: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    if isinstance(body, float) and not math.isfinite(body):
        yield place
    elif isinstance(body, dict):
        for key, value in body.items():
            yield from _not_finite(value, (*place, key))
    elif isinstance(body, list):
        for number, value in enumerate(body):
            yield from _not_finite(value, (*place, number))
