import type { NftChain, NftSet, NftTable } from './table.ts';

/**
 * Reads what `nft --stateless --numeric-priority list table` prints. Lines that tell of nothing that we write become rules or elements that are not
 * ours: whoever compares will find them. Ranges stand as they were printed: address arithmetic costs the plugin 13 ms to load.
 */
export function parsePrinted(printed: string): NftTable {
  const text = printed.replaceAll(EMBEDDED_IPV4, withoutDots);
  const chains = new Map<string, NftChain>();
  const sets = new Map<string, NftSet>();
  const [head = '', ...blocks] = text.split(
    /^\t(?=(?:chain|set|map|counter|quota|limit|flowtable|ct|secmark|synproxy) )/m,
  );
  let isStrange = /^\tflags /m.test(head);
  for (const block of blocks) {
    const [, kind = '', name = '', body = ''] = /^(\S+) (?:\w+ )?(\S+) \{\n([^]*?)^\t\}/m.exec(block) ?? [];
    if (kind === 'chain') chains.set(name, parseChain(body));
    else if (kind === 'set' || kind === 'map') sets.set(name, { kind, ...parseSet(body) });
    else isStrange = true;
  }
  return { isStrange, chains, sets };
}

// inet_ntop(3) writes IPv6 that embeds IPv4 with dots; we write hexadecimal throughout.
const EMBEDDED_IPV4 = /::(ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)/g;

function withoutDots(_text: string, mapped: string | undefined, ...bytes: readonly string[]): string {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
  const [high, low] = [a * 256 + b, c * 256 + d].map((word) => word.toString(16));
  return mapped === undefined && high === '0' ? `::${low}` : `::${mapped ?? ''}${high}:${low}`;
}

function parseChain(body: string): NftChain {
  const lines = body.split('\n').flatMap((line) => (line === '' ? [] : [line.trim()]));
  const hook = lines.find((line) => line.startsWith('type '));
  const comment = lines.find((line) => line.startsWith('comment '));
  const rules = lines.filter((line) => line !== hook && line !== comment);
  return { ...(hook === undefined ? {} : { hook }), rules };
}

function parseSet(body: string): Omit<NftSet, 'kind'> {
  const [header = '', elements] = body.split(/^\t\telements = \{/m);
  const parts = header.split('\n').map((line) => line.trim());
  const type = parts.filter((line) => line !== '' && !line.startsWith('comment ')).join('; ');
  // What packets have put in is neither wanted nor unwanted.
  const isWritten = elements !== undefined && !type.includes('flags dynamic');
  return { type, elements: new Map(isWritten ? parseElements(elements) : []) };
}

function parseElements(text: string): readonly (readonly [string, string])[] {
  const list = text.slice(0, text.lastIndexOf('}'));
  return [...list.matchAll(ELEMENT)].map(([part]) => {
    const element = part.trim();
    const [, key = element, rest = ''] = /^(.+?)( comment "[^"]*".*| : .*)?$/.exec(element) ?? [];
    return [key, rest] as const;
  });
}

// A comma within quotes is part of a comment.
const ELEMENT = /(?:[^",]|"[^"]*")+/g;
