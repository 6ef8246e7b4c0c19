// The same as in page.css, in pixels.

/** The side of a cell with the space around it. */
export const LINE = 30;
export const LABEL_WIDTH = 220;
export const HEAD_HEIGHT = 216;
