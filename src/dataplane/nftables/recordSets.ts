import { RECORD_PLACES } from '../../rules/flowRecords.ts';
import { recordsOf, type FlowRecord } from '../../rules/recordedFlows.ts';
import { nftRecordSetNames } from '../../rules/nftables/names.ts';
import { parseRecordMembers } from '../../rules/nftables/recordMembers.ts';
import { listSet } from './nft.ts';

/** Returns the flows that packets have noted down. Throws a CommandError, also where one of the sets is missing. */
export async function readRecords(): Promise<readonly FlowRecord[]> {
  const records: FlowRecord[] = [];
  for (const place of RECORD_PLACES) {
    const names = nftRecordSetNames(place);
    const flows = parseRecordMembers(await listSet(names.flows));
    // What was seen again was seen before.
    const last = flows.length === 0 ? [] : parseRecordMembers(await listSet(names.last));
    records.push(...recordsOf(place, { flows, last }, Date.now()));
  }
  return records;
}
