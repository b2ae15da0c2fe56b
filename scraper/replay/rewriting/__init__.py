"""From a page or style sheet as it was received to one which leads into the archive only, and in which nothing runs.

How it is safe: a page is not patched but written anew, token by token, and what is written keeps to a language so small
that no parser can read more into it. `<` begins one of our own tags and stands nowhere else (not in text, attribute
values, styles, comments); values are quoted; nothing is left which switches a parser to another language (script,
noscript, xmp, plaintext, CDATA, comments). Whatever a browser's tree builder makes of it, it sees these tags or fewer,
and each of them was judged by its name and attributes alone. Misreading the original can cost likeness, never safety.
"""

from scraper.replay.rewriting.page import page
from scraper.replay.rewriting.place import Place, TooLarge
from scraper.replay.rewriting.styles import stylesheet

__all__ = ["Place", "TooLarge", "page", "stylesheet"]
