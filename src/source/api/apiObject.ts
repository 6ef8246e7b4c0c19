/** An object of the API as JSON gives it: nothing of it is checked. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What every object tells of itself; what is missing is empty. */
export interface Meta {
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
}

/** Tells whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns a field that is an object, an empty one where there is none. */
export function child(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isObject(value) ? value : {};
}

/** Returns a field that is a text, '' where there is none. */
export function text(object: JsonObject, key: string): string {
  const value = object[key];
  return typeof value === 'string' ? value : '';
}

/** Returns what an object tells of itself. */
export function metaOf(object: JsonObject): Meta {
  const metadata = child(object, 'metadata');
  return {
    namespace: text(metadata, 'namespace'),
    name: text(metadata, 'name'),
    resourceVersion: text(metadata, 'resourceVersion'),
  };
}

/** Returns the key under which an object is known: `namespace/name`, or its name where it is in no namespace. */
export function keyOf(object: JsonObject): string {
  const { namespace, name } = metaOf(object);
  // Joined, a text holds its own characters; one put together from parts holds the parts besides.
  return namespace === '' ? name : [namespace, name].join('/');
}

/** Tells whether one resourceVersion is newer than another: they are decimal numbers of any length (KEP-5504). */
export function isNewer(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}
