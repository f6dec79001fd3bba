// One page of the manual, its headings reachable by address.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Markdown } from "../chat/markdown.js";
import { slug } from "../markdown/section.js";
import { t } from "../strings.js";

/** @param {{page: {id: string, title: string, markdown: string}, hash: string}} props */
export function Article({ page, hash }) {
  const element = useRef(/** @type {HTMLElement|null} */ (null));
  useLayoutEffect(() => anchor(element.current), [page.markdown]);
  useEffect(() => {
    const target = hash && document.getElementById(decodeURIComponent(hash));
    if (target && element.current?.contains(target)) {
      target.scrollIntoView({ block: "start" });
      target.focus({ preventScroll: true });
    } else element.current?.closest(".page")?.scrollTo(0, 0);
  }, [page.id, hash]);
  useEffect(() => void (document.title = `${page.title} · ${t("app.name")}`), [page.title]);
  return html`<article ref=${element} class="manual-article" lang="en" dir="ltr"><${Markdown} text=${page.markdown} done=${true} /></article>`;
}

/** Give headings the ids that the manual's own links use. @param {HTMLElement|null} article */
function anchor(article) {
  for (const heading of article?.querySelectorAll("h1, h2, h3, h4") ?? []) {
    heading.id = slug(heading.textContent ?? "");
    heading.setAttribute("tabindex", "-1");
  }
}
