// A code block as a component.
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { codeFigure } from "../markdown/code.js";

/** @param {{text: string, language: string}} props */
export function CodeBlock({ text, language }) {
  const element = useRef(/** @type {HTMLDivElement|null} */ (null));
  useLayoutEffect(() => element.current?.replaceChildren(codeFigure(text, language)), [text, language]);
  return html`<div ref=${element} class="md"></div>`;
}
