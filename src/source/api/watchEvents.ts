import type { IncomingMessage } from 'node:http';
import { child, isObject, text, type JsonObject } from './apiObject.ts';
import { ApiError } from './connection.ts';
import { linesOf } from './lines.ts';

/** What a watch tells (meta/v1 WatchEvent). */
export interface WatchEvent {
  readonly type: string;
  readonly object: JsonObject;
}

/** Yields the events of a watch. Throws for what is none. */
export async function* eventsOf(response: IncomingMessage): AsyncGenerator<WatchEvent, undefined> {
  for await (const line of linesOf(response as AsyncIterable<Buffer>)) {
    const event: unknown = JSON.parse(line);
    if (!isObject(event) || !isObject(event['object'])) throw new Error('the server sent what is no watch event');
    yield { type: text(event, 'type'), object: event['object'] };
  }
  return undefined;
}

/** Tells whether the event ends what a streamed list begins with (KEP-3157). */
export function endsInitialEvents({ type, object }: WatchEvent): boolean {
  const annotations = child(child(object, 'metadata'), 'annotations');
  return type === 'BOOKMARK' && annotations['k8s.io/initial-events-end'] === 'true';
}

/** Returns the error that an ERROR event's Status stands for. */
export function statusError(status: JsonObject): ApiError {
  const { code } = status;
  return new ApiError(typeof code === 'number' ? code : 500, text(status, 'message'));
}
