"""Voicetrack's batch engine: stages, checkpoints, engines opened and closed one after the other.

Knows nothing of radio. `from engine import run, UserError` is the whole Python surface; the command line is
`python -m engine`.
"""

__version__ = "0.1.0"
