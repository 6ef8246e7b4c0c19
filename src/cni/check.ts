import { CommandError } from '../dataplane/commandError.ts';
import { readChains, type Table } from '../dataplane/iptablesSync.ts';
import { readJumps } from '../dataplane/jumpsSync.ts';
import { IP_FAMILIES, familyOf, type IpFamily } from '../net/family.ts';
import { readAttachment, type Attachment } from '../rendezvous/attachment.ts';
import { JUMPS, STANDING_CHAINS } from '../rules/entryChains.ts';
import { EGRESS_CHAIN, ENTRY_CHAIN, INGRESS_CHAIN } from '../rules/names.ts';
import { podHookRules } from '../rules/podChains.ts';
import { podChainNames } from '../rules/podRestore.ts';
import { parseCniArgs } from './args.ts';
import type { Context } from './context.ts';
import type { AttachmentCall } from './env.ts';
import { CniError } from './errors.ts';
import type { Input } from './input.ts';
import { decodePrevResult } from './prevResult.ts';
import { knownTables } from './tables.ts';

/** Throws a CniError that names everything of the pod that is not in place. Writes nothing. */
export function check(
  context: Context,
  { call, input }: { readonly call: AttachmentCall; readonly input: Input },
): void {
  const { addresses } = decodePrevResult(input.fields['prevResult'], call.id.ifName);
  if (parseCniArgs(call.args) === undefined) return;
  const record = readAttachment(context.config.runtimeDir, call.id);
  if (record === undefined) throw notInPlace(['the record of the attachment']);
  const tables = knownTables(context, true);
  const families = IP_FAMILIES.filter((family) => record.addresses.some((address) => familyOf(address) === family));
  const missing = [
    ...addressProblems(record, addresses),
    ...(record.judgements === undefined ? ['the end of its ADD'] : []),
    ...families.flatMap((family) => missingIn(tables.get(family), { family, record })),
  ];
  if (missing.length > 0) throw notInPlace(missing);
}

function addressProblems(record: Attachment, addresses: readonly string[]): readonly string[] {
  const same =
    record.addresses.length === addresses.length && record.addresses.every((address) => addresses.includes(address));
  return same
    ? []
    : [
        `the addresses of prevResult (${addresses.join(', ')}; the pod was hooked in with ${record.addresses.join(', ')})`,
      ];
}

function missingIn(
  table: Table | undefined,
  { family, record }: { readonly family: IpFamily; readonly record: Attachment },
): readonly string[] {
  if (table === undefined) return [`the program that reads the rules of ${family}`];
  try {
    return missingChains(table, record).map((what) => `${family}: ${what}`);
  } catch (error) {
    if (error instanceof CommandError) return [`${family}: the rules can be read (${error.message})`];
    throw error;
  }
}

function missingChains(table: Table, record: Attachment): readonly string[] {
  const names = [...STANDING_CHAINS, ...podChainNames(record)];
  const found = readChains(table, names);
  const hooks = podHookRules(record, table.family);
  const missingHooks = ([EGRESS_CHAIN, INGRESS_CHAIN] as const).flatMap((chain) =>
    hooks[chain].filter((rule) => !(found.get(chain) ?? []).includes(rule)).map((rule) => `hook "${rule}" in ${chain}`),
  );
  return [
    ...names.filter((name) => !found.has(name)).map((name) => `chain ${name}`),
    ...missingHooks,
    ...missingJumps(table, found.has(ENTRY_CHAIN)),
  ];
}

function missingJumps(table: Table, hasEntry: boolean): readonly string[] {
  const jumps = hasEntry ? readJumps(table) : ({ FORWARD: 'missing', OUTPUT: 'missing' } as const);
  return (['FORWARD', 'OUTPUT'] as const)
    .filter((chain) => jumps[chain] === 'missing')
    .map((chain) => `"${JUMPS[chain]}" in ${chain}`);
}

function notInPlace(missing: readonly string[]): CniError {
  return new CniError('notInPlace', {
    msg: `Cannot vouch for the pod: not in place is ${missing.join('; ')}`,
    details:
      'A running agent puts rules right by itself within seconds; for a missing record, delete the pod and let it be made again',
  });
}
