// QR codes (ISO/IEC 18004): byte mode, error correction level L, versions 1 to 6, one mask. Pure.

/** Per version from 1: data codewords, blocks, correction codewords per block. @type {[number, number, number][]} */
const VERSIONS = [[19, 1, 7], [34, 1, 10], [55, 1, 15], [80, 1, 20], [108, 1, 26], [136, 2, 18]];
/** Level L with mask 0, as the standard spells it out. */
const FORMAT = 0b111011111000100;

/**
 * @param {string} text
 * @returns {boolean[][]|null} rows of modules, true is dark; null when the text is longer than 134 bytes
 */
export function qrcode(text) {
  const bytes = new TextEncoder().encode(text);
  const version = VERSIONS.findIndex(([data]) => bytes.length + 2 <= data) + 1;
  if (!version) return null;
  const [data, blocks, correction] = VERSIONS[version - 1];
  return draw(version, interleave(codewords(bytes, data), blocks, correction));
}

/** Mode, length, bytes, padding. @param {Uint8Array} bytes @param {number} size */
function codewords(bytes, size) {
  const nibbles = [4, bytes.length >> 4, bytes.length & 15, ...[...bytes].flatMap((byte) => [byte >> 4, byte & 15]), 0];
  const words = [];
  for (let at = 0; at + 1 < nibbles.length; at += 2) words.push((nibbles[at] << 4) | nibbles[at + 1]);
  for (let pad = 0; words.length < size; pad++) words.push(pad % 2 ? 0x11 : 0xec);
  return words;
}

/** @param {number[]} words @param {number} blocks @param {number} correction */
function interleave(words, blocks, correction) {
  const size = words.length / blocks;
  const parts = Array.from({ length: blocks }, (_, index) => words.slice(index * size, (index + 1) * size));
  const checks = parts.map((part) => remainder(part, correction));
  const across = (/** @type {number[][]} */ rows) => rows[0].flatMap((_, index) => rows.map((row) => row[index]));
  return [...across(parts), ...across(checks)];
}

/** Multiplication in the field of 256 elements that QR codes use. @param {number} a @param {number} b */
function times(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    product ^= ((b >> bit) & 1) * a;
  }
  return product;
}

/** Reed-Solomon correction codewords. @param {number[]} words @param {number} degree */
function remainder(words, degree) {
  const divisor = new Array(degree).fill(0);
  divisor[degree - 1] = 1;
  for (let step = 0, root = 1; step < degree; step++, root = times(root, 2)) {
    for (let at = 0; at < degree; at++) divisor[at] = times(divisor[at], root) ^ (divisor[at + 1] ?? 0);
  }
  const rest = new Array(degree).fill(0);
  for (const word of words) {
    const factor = word ^ /** @type {number} */ (rest.shift());
    rest.push(0);
    for (let at = 0; at < degree; at++) rest[at] ^= times(divisor[at], factor);
  }
  return rest;
}

/** @param {number} version @param {number[]} words */
function draw(version, words) {
  const size = 17 + 4 * version;
  /** @type {(boolean|undefined)[][]} */
  const grid = Array.from({ length: size }, () => new Array(size).fill(undefined));
  for (let at = 0; at < size; at++) grid[6][at] = grid[at][6] = at % 2 === 0;
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(grid, x, y, 4, (ring) => ring !== 2 && ring !== 4);
  if (version > 1) square(grid, size - 7, size - 7, 2, (ring) => ring !== 1);
  format(grid, size);
  fillIn(grid, size, words);
  return grid.map((row) => row.map(Boolean));
}

/** Concentric rings around a point. @param {(boolean|undefined)[][]} grid @param {number} x @param {number} y @param {number} reach @param {(ring: number) => boolean} dark */
function square(grid, x, y, reach, dark) {
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      if (grid[y + dy] && x + dx >= 0 && x + dx < grid.length) grid[y + dy][x + dx] = dark(Math.max(Math.abs(dx), Math.abs(dy)));
    }
  }
}

/** @param {(boolean|undefined)[][]} grid @param {number} size */
function format(grid, size) {
  const bit = (/** @type {number} */ index) => ((FORMAT >> index) & 1) === 1;
  for (let index = 0; index < 15; index++) {
    const row = index < 6 ? index : index < 8 ? index + 1 : size - 15 + index;
    const column = index < 8 ? size - 1 - index : index === 8 ? 7 : 14 - index;
    grid[row][8] = bit(index);
    grid[8][column] = bit(index);
  }
  grid[size - 8][8] = true;
}

/** The bits in two-column zigzags from the lower right, every other module turned over. @param {(boolean|undefined)[][]} grid @param {number} size @param {number[]} words */
function fillIn(grid, size, words) {
  let at = 0;
  for (let right = size - 1, upward = true; right > 0; right -= 2, upward = !upward) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = upward ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (grid[y][x] !== undefined) continue;
        const bit = ((words[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
        grid[y][x] = (bit === 1) !== ((x + y) % 2 === 0);
        at++;
      }
    }
  }
}
