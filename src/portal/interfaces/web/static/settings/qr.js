// A QR code, drawn here so that the link goes to nobody.
import { html } from "htm/preact";
import { qrcode } from "./qrcode.js";

/** @param {{text: string, label: string}} props */
export function Qr({ text, label }) {
  const rows = qrcode(text);
  if (!rows) return null;
  const size = rows.length + 8;
  const dots = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : ""))).join("");
  return html`<svg class="qr" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label=${label} shape-rendering="crispEdges">
    <rect class="qr-light" width=${size} height=${size} /><path class="qr-dark" d=${dots} /></svg>`;
}
