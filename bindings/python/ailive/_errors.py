"""What wrong use raises. Nothing raises because telemetry is unwell."""

__all__ = ["Error", "BadValue", "BadType"]


class Error(Exception):
    """Wrong use of ailive; the base of the others."""


class BadValue(Error, ValueError):
    """A word that is not known, a name that is empty or too long, a number out of its range."""


class BadType(Error, TypeError):
    """An argument of a wrong type, unknown, missing or given twice."""
