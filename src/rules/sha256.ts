// FIPS 180-4, section 5.3.3 and 4.2.2: the first 32 bits of the fractional parts of the square roots of the first 8 primes, and of the cube roots
// of the first 64.
const INITIAL = fractions(primes(8), Math.sqrt);
const ROUND = fractions(primes(64), Math.cbrt);
const BLOCK_BYTES = 64;

/**
 * Returns the SHA-256 digest of the text's UTF-8 bytes (FIPS 180-4).
 *
 * Written out because the plugin names chains by it: loading node:crypto, which starts OpenSSL, nearly doubles the time that an ADD takes.
 */
export function sha256(text: string): Uint8Array {
  const message = new DataView(padded(new TextEncoder().encode(text)).buffer);
  const state = INITIAL.slice();
  for (let offset = 0; offset < message.byteLength; offset += BLOCK_BYTES) compress(state, schedule(message, offset));
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setUint32(index * 4, word));
  return new Uint8Array(digest.buffer);
}

/** The message, a one bit, zeros, and the message's length in bits in the last eight bytes: whole blocks (section 5.1.1). */
function padded(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil((message.length + 9) / BLOCK_BYTES);
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  bytes.set(message);
  bytes[message.length] = 0x80;
  new DataView(bytes.buffer).setBigUint64(bytes.length - 8, BigInt(message.length) * 8n);
  return bytes;
}

/** The block's 16 words, stretched to 64 (section 6.2.2, step 1). */
function schedule(message: DataView, offset: number): Uint32Array {
  const words = new Uint32Array(64);
  for (let t = 0; t < 16; t += 1) words[t] = message.getUint32(offset + t * 4);
  for (let t = 16; t < 64; t += 1) {
    const w15 = at(words, t - 15);
    const w2 = at(words, t - 2);
    const sigma0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3);
    const sigma1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10);
    words[t] = sigma1 + at(words, t - 7) + sigma0 + at(words, t - 16);
  }
  return words;
}

/** Section 6.2.2, steps 2 to 4; `| 0` is the sum modulo 2³². */
function compress(state: Uint32Array, words: Uint32Array): void {
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let t = 0; t < 64; t += 1) {
    const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const choice = (e & f) ^ (~e & g);
    const t1 = h + sum1 + choice + at(ROUND, t) + at(words, t);
    const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + sum0 + majority) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] = at(state, index) + word));
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

// Every index here is below the array's length.
function at(words: Uint32Array, index: number): number {
  return words[index] ?? 0;
}

function primes(count: number): readonly number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate += 1) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return found;
}

function fractions(numbers: readonly number[], root: (value: number) => number): Uint32Array {
  return Uint32Array.from(numbers, (value) => (root(value) % 1) * 2 ** 32);
}
