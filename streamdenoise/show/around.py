"""What stands around the entries of a page: style, and the script of players."""

from __future__ import annotations

from typing import Final

__all__ = ["HEAD", "TAIL"]

HEAD: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@TITLE@</title>
<style>
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 74rem;
  padding: 1rem; }
header { position: sticky; top: 0; background: Canvas; padding: .3rem 0 .6rem;
  border-bottom: 1px solid var(--line); z-index: 1; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .5rem;
  overflow-wrap: anywhere; }
header p { margin: .2rem 0 .5rem; }
article { border-bottom: 1px solid var(--line); padding: .9rem 0; display: grid;
  grid-template-columns: 250px 1fr; gap: .3rem 1rem; content-visibility: auto;
  contain-intrinsic-size: auto 170px; }
h2, .note { grid-column: 1 / -1; } .note { margin: 0; font-size: .9em; }
img { width: 240px; image-rendering: pixelated; grid-row: span 2; }
dl { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: 0; }
dt { font-size: .8em; opacity: .75; } dd { margin: 0; font-variant-numeric:
  tabular-nums; }
.tracks { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; }
figure { margin: 0; } figcaption { font-size: .85em; } audio { width: 15.5rem; }
article:not(:has(img)) { grid-template-columns: 1fr; }
@media (max-width: 40rem) { article { grid-template-columns: 1fr; } }
button, input { font: inherit; padding: .15rem .6rem; }
</style></head><body>
<header><h1>@TITLE@</h1><p>@INTRO@</p>
<button data-by="key" data-down="1">most first</button>
<button data-by="key">least first</button>
<button data-by="name">by name</button>
<input type="search" placeholder="find a name" aria-label="find a name">
<span>@COUNT@ recordings, sorted by @KEY@. A track starts where the last one of its
recording stopped.</span></header>
<main>
"""
"""What comes first, with ``@TITLE@``, ``@INTRO@``, ``@KEY@``, ``@COUNT@`` to put in."""

TAIL: Final = """</main>
<script>
const main = document.querySelector("main");
let last = null;
main.addEventListener("play", event => {
  const audio = event.target, home = audio.closest("article");
  if (last && last !== audio) {
    last.pause();
    if (last.closest("article") === home && !last.ended)
      audio.currentTime = last.currentTime;
  }
  last = audio;
}, true);
for (const button of document.querySelectorAll("button"))
  button.addEventListener("click", () => {
    const { by, down } = button.dataset, all = [...main.children];
    const order = by === "name"
      ? (a, b) => a.dataset.name.localeCompare(b.dataset.name)
      : (a, b) => (down ? -1 : 1) * (a.dataset.key - b.dataset.key);
    main.replaceChildren(...all.sort(order));
  });
document.querySelector("input").addEventListener("input", event => {
  const text = event.target.value.toLowerCase();
  for (const one of main.children)
    one.hidden = !one.dataset.name.toLowerCase().includes(text);
});
</script></body></html>
"""
