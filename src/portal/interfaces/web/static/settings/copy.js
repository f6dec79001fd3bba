// A line of text to copy: a command, a key, an address.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { announce, toast } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";

/** @param {{text: string, label?: string}} props */
export function CopyLine({ text, label = t("common.copy") }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return toast(t("error.copyFailed")); // not a secure context, or refused by the person
    }
    setCopied(true);
    announce(t("common.copied"));
    timer.current = window.setTimeout(() => setCopied(false), 2000);
  };
  return html`<div class="copy-line"><code class="grow" dir="ltr" tabindex="0">${text}</code>
    <button type="button" class="ghost" aria-label=${label} onClick=${copy}><${Icon} name=${copied ? "check" : "copy"} /><span>${copied ? t("common.copied") : t("common.copy")}</span></button></div>`;
}
