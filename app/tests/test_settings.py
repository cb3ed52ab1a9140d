import pytest

from app.settings import SettingsError, load_settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_GREETING", "Guten Tag")
    monkeypatch.setenv("HELLO_LOG_LEVEL", "WARNING")
    settings = load_settings()
    assert (settings.greeting, settings.log_level) == ("Guten Tag", "WARNING")


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HELLO_GREETING", raising=False)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == "The app cannot start. Set in its environment: HELLO_GREETING (missing)"


def test_all_problems_are_named_at_once_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_GREETING", "")
    monkeypatch.setenv("HELLO_LOG_LEVEL", "poison")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == (
        "The app cannot start. Set in its environment: "
        "HELLO_GREETING (String should have at least 1 character); "
        "HELLO_LOG_LEVEL (Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR')"
    )
    assert caught.value.__context__ is None, "a chained error would print the values"
