// The items of an answer: text, reasoning, and calls of tools that the client runs.
import { html } from "htm/preact";
import { useEffect, useMemo } from "preact/hooks";
import { clock, watchClock } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { isPlan } from "../plans.js";
import { annotationsOf, textOf } from "../turns.js";
import { isFile } from "../markdown/citations.js";
import { CodeBlock } from "./code.js";
import { Markdown } from "./markdown.js";
import { Asked } from "./approval.js";
import { CitedText } from "./cited.js";
import { FileSearch } from "./found.js";
import { Recalled } from "./recalled.js";
import { Plan } from "./plan.js";
import { RunCall } from "./tool.js";

/** @typedef {{from: number, to: number|null}} Span */
/** @typedef {import("../types.js").Item} Item */

/** @param {{item: Item, going: boolean, span?: Span, turn: import("../types.js").Turn}} props */
export function OutputItem({ item, going, span, turn }) {
  if (item.type === "message") return html`<${Said} item=${item} done=${!going || item.status === "completed"} />`;
  if (item.type === "reasoning") return html`<${Reasoning} item=${item} going=${going} span=${span} />`;
  if (isPlan(item)) return html`<${Plan} item=${item} turn=${turn} />`;
  if (item.type === "mcp_call") return html`<${RunCall} item=${item} turn=${turn} />`;
  if (item.type === "mcp_approval_request") return html`<${Asked} item=${item} />`;
  if (item.type === "file_search_call") return html`<${FileSearch} item=${item} />`;
  if (item.type === "portal:memory") return html`<${Recalled} item=${item} />`;
  if (item.type === "function_call") return html`<${ToolCall} item=${item} />`;
  if (item.type === "image_generation_call" && item["portal:file_id"]) return null; // its call shows the picture
  if (item.type === "compaction") return html`<p class="muted small">${t("turn.compacted")}</p>`;
  return html`<p class="muted small">${t("turn.unsupported", { type: item.type })}</p>`;
}

/** @param {{item: Item, done: boolean}} props */
function Said({ item, done }) {
  const text = textOf(item);
  const annotations = useMemo(() => annotationsOf(item), [item]);
  if (done && annotations.some(isFile)) return html`<${CitedText} text=${text} annotations=${annotations} />`;
  return text && html`<${Markdown} text=${text} done=${done} />`;
}

/** @param {{item: Item, going: boolean, span?: Span}} props */
function Reasoning({ item, going, span }) {
  const text = textOf(item) || (item.summary ?? []).map((/** @type {any} */ part) => part.text).join("\n\n");
  const open = going && span?.to === null;
  if (!text && !open) return null;
  return html`<details class="fold reasoning">
    <summary><${Icon} name="bulb" /><span>${open ? html`<${Counting} from=${span?.from ?? 0} />` : pastLabel(span)}</span><${Icon} name="chevron" /></summary>
    <div class="fold-body"><${Markdown} text=${text} done=${!open} /></div>
  </details>`;
}

/** @param {Span|undefined} span */
function pastLabel(span) {
  if (!span?.to) return t("reasoning.past");
  return t("reasoning.done", { n: Math.round((span.to - span.from) / 1000) });
}

/** @param {{from: number}} props */
function Counting({ from }) {
  useEffect(() => watchClock(), []);
  return html`${t("reasoning.running", { n: Math.max(0, Math.floor((clock.value - from) / 1000)) })}`;
}

/** @param {{item: Item}} props */
function ToolCall({ item }) {
  return html`<details class="fold tool">
    <summary><${Icon} name="tool" /><span>${t("turn.tool", { name: item.name })}</span><${Icon} name="chevron" /></summary>
    <div class="fold-body"><p class="label">${t("turn.arguments")}</p><${CodeBlock} text=${pretty(item.arguments)} language="json" /></div>
  </details>`;
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // still growing, or not JSON: shown as it came
  }
}
