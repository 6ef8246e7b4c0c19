import { styleText } from 'node:util';

export type Format = Parameters<typeof styleText>[0];

/** Puts colour on a piece of text. */
export type Paint = (format: Format, text: string) => string;

/** Colour where standard output is a terminal that has it; NO_COLOR and FORCE_COLOR are heard. */
export const paintForStdout: Paint = (format, text) => styleText(format, text, { stream: process.stdout });
