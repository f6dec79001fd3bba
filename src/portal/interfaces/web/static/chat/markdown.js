// Markdown as a component: keeps its view across updates, so that a growing text costs only its growth.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { MarkdownView } from "../markdown.js";

/** @param {{text: string, done: boolean, linkOf?: import("../markdown.js").LinkOf|null}} props  `linkOf` once the text is done */
export function Markdown({ text, done, linkOf = null }) {
  const element = useRef(/** @type {HTMLDivElement|null} */ (null));
  const view = useRef(/** @type {MarkdownView|null} */ (null));
  const pace = useRef({ next: 0, timer: 0 });
  useLayoutEffect(() => {
    if (!element.current) return;
    view.current ??= new MarkdownView(element.current);
    view.current.linkOf = linkOf;
    clearTimeout(pace.current.timer);
    const now = performance.now();
    if (done || now >= pace.current.next) draw(view.current, text, done, pace.current);
    else pace.current.timer = setTimeout(draw, pace.current.next - now, view.current, text, done, pace.current);
  }, [text, done]);
  useEffect(() => () => clearTimeout(pace.current.timer), []);
  return html`<div ref=${element} class="md" dir="auto"></div>`;
}

/** A block that is slow to draw is drawn less often: at most a quarter of the time. @param {MarkdownView} view @param {string} text @param {boolean} done @param {{next: number}} pace */
function draw(view, text, done, pace) {
  const begun = performance.now();
  view.update(text, done);
  const now = performance.now();
  pace.next = now + Math.max(0, (now - begun - 4) * 4);
}
