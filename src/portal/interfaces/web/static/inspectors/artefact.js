// What an answer made, shown: HTML, SVG and diagrams run in a frame that has no origin, no network and no way to the page.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { PaneHead, Modal } from "../dialogs.js";
import { Icon } from "../icons.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { copyText } from "../markdown/code.js";

/** @typedef {"html"|"svg"|"mermaid"} Kind */

/** @param {{text: string, language: Kind}} props */
export function Artefact({ text, language }) {
  useSheet("artefact");
  const [large, setLarge] = useState(false);
  const frame = html`<${Frame} text=${text} language=${language} />`;
  return html`<div class="artefact">
    <p class="small muted">${t("artefact.about")}</p>
    <div class="row wrap">
      <button type="button" class="button" onClick=${() => setLarge(true)}>${t("artefact.large")}</button>
      <button type="button" class="ghost" onClick=${() => copyText(text)}><${Icon} name="copy" /><span>${t("common.copy")}</span></button>
      <button type="button" class="ghost" onClick=${() => download(text, language)}><${Icon} name="download" /><span>${t("artefact.download")}</span></button>
    </div>
    ${large ? html`<${Modal} class="dialog artefact-large" label=${t("artefact.title")} onClose=${() => setLarge(false)}>
      <${PaneHead} title=${t("artefact.title")} onClose=${() => setLarge(false)} />${frame}<//>` : frame}
  </div>`;
}

/** @param {{text: string, language: Kind}} props */
function Frame({ text, language }) {
  const element = useRef(/** @type {HTMLIFrameElement|null} */ (null));
  useEffect(() => {
    /** The frame asks for its content once it stands; nothing else that comes from it counts. @param {MessageEvent} event */
    const asked = async (event) => {
      const target = element.current?.contentWindow;
      if (target && event.source === target && event.data === "portal:artefact") target.postMessage(await content(text, language), "*");
    };
    addEventListener("message", asked);
    if (element.current) element.current.src = "/artefact"; // not before somebody listens
    return () => removeEventListener("message", asked);
  }, [text, language]);
  return html`<iframe ref=${element} class="artefact-frame" sandbox="allow-scripts" referrerpolicy="no-referrer" title=${t("artefact.frame")}></iframe>`;
}

const BASIC = "<!doctype html><meta charset='utf-8'><style>body{margin:16px;font-family:system-ui,sans-serif}svg{display:block;max-width:100%;height:auto;margin:auto}pre{white-space:pre-wrap}</style><body>";

/** What the frame is given: a document, and scripts to run in it. @param {string} text @param {Kind} language */
async function content(text, language) {
  if (language === "html") return { html: text, scripts: [] };
  if (language === "svg") return { html: BASIC + text, scripts: [] };
  const draw = `(${drawDiagram})(${JSON.stringify(text)})`;
  return { html: `${BASIC}<pre></pre>`, scripts: [await api.library("mermaid.js"), draw] };
}

/** Runs in the frame: the diagram, or its source and what is wrong with it. @param {string} source */
async function drawDiagram(source) {
  const { mermaid } = /** @type {any} */ (globalThis);
  const place = /** @type {HTMLElement} */ (document.querySelector("pre"));
  mermaid.initialize({ startOnLoad: false, securityLevel: "strict", suppressErrorRendering: true });
  try {
    const { svg } = await mermaid.render("diagram", source);
    place.replaceWith(document.createRange().createContextualFragment(svg));
  } catch (error) {
    place.textContent = `${source}\n\n${error instanceof Error ? error.message : error}`;
  }
}

const FILES = { html: ["page.html", "text/html"], svg: ["drawing.svg", "image/svg+xml"], mermaid: ["diagram.mmd", "text/plain"] };

/** @param {string} text @param {Kind} language */
function download(text, language) {
  const [name, type] = FILES[language];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
