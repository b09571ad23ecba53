"""The report page: one file that opens from disk and asks the network for nothing.

`render.page_html` makes it from what `data.page_data` assembles and `plots` draws; `page.js` shows the links,
`page.css` dresses them. `stages.review` serves the same page with decisions added.
"""

from stages.page.render import page_html

__all__ = ["page_html"]
