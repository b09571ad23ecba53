"""review: serves the report page on this machine and records what is decided on it."""

from __future__ import annotations

from stages.review.stage import stages

__all__ = ["stages"]
