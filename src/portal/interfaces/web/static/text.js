// Whether a file can be read as text, told from its beginning.
const LOOKED_AT = 8192;

/** @param {Blob} file @returns {Promise<boolean>}  false for what has a NUL byte or is not UTF-8, and what cannot be read */
export async function isText(file) {
  try {
    const bytes = new Uint8Array(await file.slice(0, LOOKED_AT).arrayBuffer());
    // a character may be cut in two where the look ends, so the rest of it is not asked for
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: file.size > LOOKED_AT });
    return !bytes.includes(0);
  } catch {
    return false;
  }
}
