from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest
from pydantic import BaseModel

from hostwright.inventory import Secret

POISON = "s3cr3t-p0ison"


def test_nothing_that_prints_shows_it() -> None:
    secret = Secret(POISON)
    nested = {"password": secret, "list": [secret]}
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret:>40}",
        str([secret]),
    ]
    assert shown == [
        "***",
        "Secret('***')",
        "***",
        "                           Secret('***')",
        "***",
        "[Secret('***')]",
    ]
    assert POISON not in str(nested)
    assert POISON not in logging.makeLogRecord({"msg": "%s", "args": (secret,)}).getMessage()


def test_reveal() -> None:
    assert Secret(POISON).reveal() == POISON


def test_equal_by_value_and_hashable() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"), Secret("a"), Secret("b")} == {Secret("b"), Secret("a")}
    assert hash(Secret("a")) != hash("a")


def test_json_refuses() -> None:
    with pytest.raises(TypeError, match="Secret is not JSON serializable"):
        json.dumps({"password": Secret(POISON)})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_refuses(protocol: int) -> None:
    with pytest.raises(TypeError, match="a Secret cannot be pickled"):
        pickle.dumps(Secret(POISON), protocol)
    with pytest.raises(TypeError, match="a Secret cannot be pickled"):
        Secret(POISON).__getstate__()


def test_copies_are_itself() -> None:
    secret = Secret(POISON)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_does_not_change() -> None:
    secret = Secret(POISON)
    with pytest.raises(AttributeError, match="does not change"):
        secret._value = "x"
    with pytest.raises(AttributeError, match="does not change"):
        del secret._value
    with pytest.raises(AttributeError):
        secret.other = 1


def test_holds_text_only() -> None:
    with pytest.raises(TypeError, match="a Secret holds text, not bytes"):
        Secret(b"x")  # type: ignore[arg-type]


def test_a_traceback_with_locals_does_not_show_it() -> None:
    secret = Secret(POISON)
    try:
        raise ValueError(f"wrong: {secret}")
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert POISON not in text.replace(f'"{POISON}"', "")
    assert "secret = Secret('***')" in text


class Model(BaseModel):
    password: Secret


def test_as_a_field_of_a_model() -> None:
    assert Model(password=Secret(POISON)).password.reveal() == POISON
    model = Model.model_validate({"password": POISON})
    assert model.password == Secret(POISON)
    assert POISON not in repr(model)
    assert model.model_dump() == {"password": Secret(POISON)}
    with pytest.raises(Exception, match="cannot be written as JSON") as caught:
        model.model_dump_json()
    assert POISON not in str(caught.value)
    with pytest.raises(ValueError, match="2 validation errors"):
        Model.model_validate({"password": 3})
