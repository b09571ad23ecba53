"""The radio: stations, prompts, scripts, verdicts, takes. Knows nothing of how an engine lives and dies."""
