"""Hydra's config groups, packaged so that `python -m engine` works from any folder."""
