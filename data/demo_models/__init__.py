"""The embedded demo writer and auditor, and all that is needed to make them again (`python -m data.demo_models.train`)."""
