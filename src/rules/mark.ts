/** A value within the bits of a mask, both unsigned. */
export interface Mark {
  readonly value: number;
  readonly mask: number;
}

/** The bits of the conntrack mark that are ours unless the conflist says otherwise. */
export const DEFAULT_MARK_MASK = 0xffff0000;

/**
 * Returns the mark of a generation. Zero is kept for flows that nobody judged. Generations count up without end and the bits do not:
 * after 2ⁿ-1 raises a value comes again, which only a flow that was silent all that time could profit from.
 */
export function generationMark(generation: number, mask: number): Mark {
  const shift = 31 - Math.clz32(mask & -mask);
  const values = 2 ** (Math.clz32(0) - Math.clz32(mask >>> shift)) - 1;
  const value = ((generation % values) + 1) * 2 ** shift;
  return { value, mask: mask >>> 0 };
}

/** Returns a mask from its text (`0xffff0000` or decimal), or `undefined` where it is not a run of 8 to 31 bits. */
export function parseMarkMask(text: string): number | undefined {
  if (!/^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})$/.test(text)) return undefined;
  const mask = Number(text);
  if (mask > 0xffffffff) return undefined;
  const bits = mask.toString(2).replace(/0+$/, '');
  return /^1{8,31}$/.test(bits) ? mask : undefined;
}
