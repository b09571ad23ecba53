"""The demo writer and auditor, and all that makes them (`python -m data.demo_models.train`)."""
