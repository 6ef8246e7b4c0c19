/**
 * Returns `text` in double quotes, fit for a log line: cut after 120 characters, with every control, format and separator
 * character escaped. Names, labels and addresses come from outside and must not move a terminal's cursor or end a line.
 */
export function quote(text: string): string {
  return escapeControls(JSON.stringify(cut(text, 120)));
}

/** Returns a path or somebody else's message, escaped in the same way and cut after 500 characters. */
export function printable(text: string): string {
  return escapeControls(cut(text, 500));
}

function cut(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
