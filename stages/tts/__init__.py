"""Synthesizers, one module each, behind `engine.backend`: a request's text goes in, samples come out.

A synthesizer has a spec (`BackendSpec`, cheap, nothing heavy imported) and a backend. The audio stage gives each
request `{"text": str, "voice": {…}}`, the voice as the spec's `voice_for` made it from the DJ's own settings, and
gets `{"samples": float32 numpy [n], "sample_rate": int}`.
"""
