// What can be done to show a file: by its type, or by its name where the type says nothing.

/** @typedef {"image"|"audio"|"video"|"pdf"|"text"|"document"|"other"} Kind */
/** @type {Record<string, Kind>} */
const ENDINGS = {
  png: "image", jpg: "image", jpeg: "image", gif: "image", webp: "image", avif: "image",
  mp3: "audio", wav: "audio", ogg: "audio", oga: "audio", m4a: "audio", flac: "audio", opus: "audio",
  mp4: "video", webm: "video", mov: "video", m4v: "video", ogv: "video", pdf: "pdf",
  docx: "document", doc: "document", odt: "document", rtf: "document", pptx: "document", ppt: "document", odp: "document",
  xlsx: "document", xls: "document", ods: "document", epub: "document", eml: "document", html: "document", htm: "document",
  md: "text", txt: "text", csv: "text", json: "text", log: "text", yaml: "text", yml: "text", toml: "text",
};

/** @param {string} name @param {string} [type] @returns {Kind} */
export function kindOf(name, type = "") {
  if (type === "image/svg+xml") return "other";
  const [family] = type.split("/");
  if (family === "image" || family === "audio" || family === "video") return family;
  if (type === "application/pdf") return "pdf";
  return ENDINGS[name.split(".").pop()?.toLowerCase() ?? ""] ?? (family === "text" ? "text" : "other");
}
