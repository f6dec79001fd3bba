// Server-sent events out of a fetch body. Pure: no URL, no state.

/**
 * The JSON payloads of an event stream, in order; ends with the stream or at `[DONE]`.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<any, void, void>}
 */
export async function* events(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const [blocks, unfinished] = split(rest + value);
      rest = unfinished;
      for (const block of blocks) {
        const data = payload(block);
        if (data === "[DONE]") return;
        if (data !== null) yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // already closed or broken: nothing left to release
  }
}

/**
 * Whole event blocks of `text`, and what follows the last blank line.
 * @param {string} text
 * @returns {[string[], string]}
 */
export function split(text) {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  return [blocks, rest];
}

/**
 * The data of one event block; null for a comment or an event without data.
 * @param {string} block
 * @returns {string | null}
 */
export function payload(block) {
  const lines = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("data:")) lines.push(line.slice(line.charAt(5) === " " ? 6 : 5));
  }
  return lines.length ? lines.join("\n") : null;
}
