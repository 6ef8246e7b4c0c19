import { CniError } from './errors.ts';
import type { JsonObject } from './config.ts';

/** What the runtime wrote to stdin: its text and the JSON object in it. */
export interface Input {
  readonly text: string;
  readonly fields: JsonObject;
}

/** Reads stdin. Throws a CniError when it cannot be read or is no JSON object. */
export function readInput(stdin: () => string): Input {
  const text = readText(stdin);
  return { text, fields: parseObject(text) };
}

function readText(stdin: () => string): string {
  try {
    return stdin();
  } catch (error) {
    throw new CniError('ioFailure', {
      msg: 'Cannot read the network configuration from stdin',
      details: String(error),
    });
  }
}

function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw decodingError(error instanceof Error ? error.message : String(error));
  }
  if (isObject(value)) return value;
  throw decodingError('a JSON object is expected');
}

function decodingError(details: string): CniError {
  return new CniError('decodingFailure', {
    msg: 'Cannot decode the network configuration: stdin is not a JSON object',
    details,
  });
}

/** Tells whether a value of JSON is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
