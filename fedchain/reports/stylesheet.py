"""Stylesheet of the HTML page: readable on a phone; light or dark as the reader's system is."""

CSS = """
:root { --ink: #1b1f24; --paper: #ffffff; --soft: #57606a; --line: #d8dee4; --box: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9aa4ae; --line: #30363d; --box: #161b22; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.7rem; margin: 2rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
p { margin: .4rem 0; }
.lead { color: var(--soft); font-size: 1.05rem; }
.warning { border-left: 3px solid #d55e00; padding-left: .7rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
caption { caption-side: bottom; text-align: left; color: var(--soft); font-size: .85rem;
  padding-top: .4rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
figure { margin: 1.4rem 0; }
figure img { display: block; width: 100%; max-width: 36rem; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; padding: .5rem; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; max-width: 36rem; }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: .8rem;
  overflow-x: auto; font-size: .85rem; }
details { margin: .8rem 0; }
summary { cursor: pointer; }
@media (max-width: 30rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
"""
