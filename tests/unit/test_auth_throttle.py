"""Failed logins slow the next ones down."""

from __future__ import annotations

import pytest

from service.errors import TooManyAttempts
from service.web.throttle import LoginThrottle


class Setting:
    """A throttle with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.throttle = LoginThrottle(lambda: self.now)

    def fail(self, times: int, name: str = "ada", address: str = "192.0.2.1") -> None:
        for _ in range(times):
            self.throttle.failed(name, address)

    def wait(self, name: str = "ada", address: str = "192.0.2.1") -> int:
        """Seconds that the next attempt has to wait."""
        try:
            self.throttle.check(name, address)
        except TooManyAttempts as refused:
            return refused.retry_after_s
        return 0


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_four_failures_are_free(setting: Setting) -> None:
    setting.fail(4)
    assert setting.wait() == 0


@pytest.mark.parametrize(("failures", "wait_s"), [(5, 1), (6, 2), (8, 8), (20, 300), (60, 300)])
def test_wait_doubles_up_to_five_minutes(setting: Setting, failures: int, wait_s: int) -> None:
    setting.fail(failures)
    assert setting.wait() == wait_s


def test_wait_ends(setting: Setting) -> None:
    setting.fail(8)
    setting.now += 9
    assert setting.wait() == 0


def test_another_name_at_the_address_is_not_slowed(setting: Setting) -> None:
    setting.fail(8)
    assert setting.wait(name="grace") == 0


def test_the_name_at_another_address_is_not_slowed(setting: Setting) -> None:
    setting.fail(8)
    assert setting.wait(address="192.0.2.2") == 0


def test_many_names_tried_from_one_address_slow_every_name_there(setting: Setting) -> None:
    for number in range(55):
        setting.fail(1, name=f"user{number}")
    assert setting.wait(name="grace") > 0


def test_success_clears_the_failures_of_the_name(setting: Setting) -> None:
    setting.fail(8)
    setting.throttle.succeeded("ada", "192.0.2.1")
    assert setting.wait() == 0


def test_failures_are_forgotten_after_an_hour(setting: Setting) -> None:
    setting.fail(20)
    setting.now += 3601
    setting.fail(1)
    assert setting.wait() == 0


def test_memory_is_bounded(setting: Setting) -> None:
    for number in range(25_000):
        setting.throttle.failed("ada", f"2001:db8::{number:x}")
    assert len(setting.throttle._failures) <= 20_000
