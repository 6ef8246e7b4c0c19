import type { IpFamily } from '../../net/family.ts';
import { LOG_BYTES, LOG_PACE, logPrefix } from '../flowLog.ts';
import { DIRECTIONS, MOST_RECORDS, RECORD_KINDS, RECORD_SECONDS, type RecordPlace } from '../flowRecords.ts';
import { END_CHAINS, recordSetNames, REJECT_CHAIN } from '../names.ts';
import type { Chain, Rule } from './chain.ts';

/** What the end chains do besides refusing, or letting pass. */
export interface EndForm {
  /** There are the sets that packets fill. */
  readonly isRecording: boolean;
  /** The NFLOG group to which packets are logged; `undefined`: to none. Only an agent asks for one. */
  readonly nflogGroup?: number | undefined;
}

/** Returns the chains in which a direction ends for what no rule allows. */
export function endChains(family: IpFamily, { isRecording, nflogGroup }: EndForm): readonly Chain[] {
  return RECORD_KINDS.flatMap((kind) =>
    DIRECTIONS.map((direction) => {
      const place = { kind, direction, family };
      const logging = nflogGroup === undefined ? [] : [logRule(place, nflogGroup)];
      const recording = isRecording ? recordingRules(place) : [];
      return { name: END_CHAINS[kind][direction], rules: [...logging, ...recording, LAST_RULES[kind]] };
    }),
  );
}

/** As `iptables -S` prints it, which leaves out group 0. */
function logRule(place: RecordPlace, group: number): Rule {
  const pace = `-m limit --limit ${LOG_PACE.perSecond}/sec --limit-burst ${LOG_PACE.burst}`;
  const to = group === 0 ? '' : ` --nflog-group ${group}`;
  return `${pace} ${LOGS} --nflog-prefix "${logPrefix(place)}"${to} --nflog-size ${LOG_BYTES}`;
}

const LOGS = '-j NFLOG';

const LAST_RULES = { denied: `-g ${REJECT_CHAIN}`, audited: '-j RETURN' } as const;

/** Returns, without records, those of the end chains that were found to hold something else, recording or not. That they log changes no verdict. */
export function spoiltEndChains(found: ReadonlyMap<string, readonly Rule[]>, family: IpFamily): readonly Chain[] {
  const recording = endChains(family, { isRecording: true });
  return endChains(family, { isRecording: false }).filter(({ name, rules }, index) => {
    const text = found
      .get(name)
      ?.filter((rule) => !rule.includes(` ${LOGS} `))
      .join('\n');
    return text !== undefined && text !== rules.join('\n') && text !== recording[index]?.rules.join('\n');
  });
}

/**
 * How fast flows come in that are new: so many at once, and then so many more in a set's lifetime, that it never gets full. A full one
 * would be told of in the kernel's log, and whoever fills it would keep out all others.
 */
const PACE = {
  denied: '-m limit --limit 30/min --limit-burst 200',
  audited: '-m limit --limit 1/min --limit-burst 1500',
};

/** The two addresses and the port that the flow goes to. */
const KEY = 'src,dst,dst';

/** A member that is put in again begins to count anew: a flow that is known is counted by looking it up. */
function recordingRules(place: RecordPlace): readonly Rule[] {
  const { flows, last } = recordSetNames(place);
  const seconds = RECORD_SECONDS[place.kind];
  return [
    // What belongs to no flow is not told by where it goes.
    `-m conntrack --ctstate INVALID ${LAST_RULES[place.kind]}`,
    `-m set --match-set ${flows} ${KEY} -j SET --add-set ${last} ${KEY} --exist --timeout ${seconds}`,
    `-m set ! --match-set ${flows} ${KEY} ! --update-counters ${PACE[place.kind]} -j SET --add-set ${flows} ${KEY} --timeout ${seconds}`,
  ];
}

/** Returns the lines of `ipset restore -exist` that make the sets of a place. */
export function recordSetLines(place: RecordPlace): readonly string[] {
  const { flows, last } = recordSetNames(place);
  const most = MOST_RECORDS[place.kind];
  const inet = place.family === 'ipv4' ? 'inet' : 'inet6';
  const made = (name: string, size: number) =>
    // Packets cannot make a set's table grow: it begins as large as it will ever have to be. A place in it takes up to 12 members.
    `create ${name} hash:ip,port,ip family ${inet} hashsize ${size / 4} maxelem ${size} timeout ${RECORD_SECONDS[place.kind]}`;
  // A flow may be remembered as seen again when it is forgotten as first seen.
  return [`${made(flows, most)} counters`, made(last, 2 * most)];
}
