"""`python -m stages.rules` prints docs/rules.md."""

from stages.rules import table

PAGE = """# Rules

Rules are what code checks in a script, so that no model is asked what code knows. They run on every candidate, before
the verdict; a kind's `rubric.yaml` says which of them count and how ([auditing](auditing.md)):

```yaml
rules:
  names_title: fail                          # a hit fails the script, whatever its score
  repetition: note                           # a hit is noted and told to the writer
  emoji: {{cap: 4.0}}                          # a hit caps the weighted score
  length: {{severity: fail, tolerance: 0.1}}   # with an option of the rule
  shouting: off
```

Titles, artists and the names of DJ, station and place are masked before any rule looks, so that a song called "Here
Comes the Sun", "1999" or "#1 Crush" trips nothing. A name counts as spoken whatever its accents, quotes, capitals and
spaces; without a leading "The"; with `and` for `&`; without what its title has in brackets; with its numbers in words
or in digits. One-word names such as "Stay" must stand out: quoted, or capitalised in mid-sentence.

A rubric without a `rules` section uses every rule that fits the kind's name and subject, with `fail`, except
`word_budget` and `repeated_opening`. Rules that know one language are silent for DJs who speak another.

{table}
`repeated_opening` looks at the station as a whole; it is off unless a rubric names it.

How well they do is measured on labelled scripts by `python tests/benchmarks/scripts.py`, which prints recall and false
alarms by rule.
"""


def main() -> None:
    """Print the page."""
    print(PAGE.format(table=table()), end="")


if __name__ == "__main__":
    main()
