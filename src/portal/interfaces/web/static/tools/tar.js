// A folder that was chosen in the browser as one tar file (POSIX ustar), the only way to send it whole.
const BLOCK = 512;
const encoder = new TextEncoder();

/** @param {File[]} files  with their paths below the chosen folder */
export async function packed(files) {
  /** @type {BlobPart[]} */
  const parts = [];
  for (const file of files) {
    const path = file.webkitRelativePath || file.name;
    const place = split(path);
    if (place) parts.push(header(place, file.size), file, new Uint8Array((BLOCK - (file.size % BLOCK)) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  const name = (files[0].webkitRelativePath.split("/")[0] || "skills") + ".tar";
  return new File(parts, name, { type: "application/x-tar" });
}

/** A path as tar has room for it: 100 bytes, behind 155 of folders; null where it is longer. @param {string} path */
function split(path) {
  if (encoder.encode(path).length <= 100) return { prefix: "", name: path };
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (encoder.encode(name).length <= 100) return encoder.encode(prefix).length <= 155 ? { prefix, name } : null;
  }
  return null;
}

/** @param {{prefix: string, name: string}} place @param {number} size */
function header({ prefix, name }, size) {
  const block = new Uint8Array(BLOCK);
  const put = (/** @type {number} */ at, /** @type {string} */ text) => block.set(encoder.encode(text), at);
  const octal = (/** @type {number} */ number, /** @type {number} */ digits) => number.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${octal(size, 11)}\0`);
  put(136, `${octal(0, 11)}\0`);
  put(148, "        ");
  put(156, "0");
  put(257, "ustar\x0000");
  put(345, prefix);
  put(148, `${octal(block.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return block;
}
