"""Formats times for users."""

from __future__ import annotations

import time

__all__ = ["at", "at_today", "clock", "lasting"]


def lasting(seconds: float | None) -> str:
    """Formats a duration: `0.4s`, `2m05s`, `3h07m`, `4d11h`; empty for None and for impossible values."""
    if seconds is None or not -1e12 < seconds < 1e12:
        return ""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def at(moment: float | None) -> str:
    """Formats a point in time as local time: `2026-11-22 20:05:12`; empty for None."""
    return _local("%Y-%m-%d %H:%M:%S", moment)


def clock(moment: float | None) -> str:
    """Formats a local time of day with milliseconds: `20:05:12.345`; empty for None."""
    text = _local("%H:%M:%S", moment)
    return f"{text}.{int(moment % 1 * 1000):03}" if text and moment is not None else ""


def _local(form: str, moment: float | None) -> str:
    try:
        return "" if moment is None else time.strftime(form, time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return ""  # outside of the supported range


def at_today(moment: float, now: float) -> str:
    """Formats a point in time as time of day if it is today, else with its date."""
    shown = at(moment)
    return shown[11:] if shown[:10] == at(now)[:10] else shown
