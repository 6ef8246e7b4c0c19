import { printable } from '../net/quote.ts';
import type { DeniedFlow, FlowEnd } from '../rendezvous/deniedFlow.ts';

const HEAD = ['LAST SEEN', 'FIRST SEEN', 'PACKETS', 'REFUSED', 'FROM', 'TO', 'PORT', 'POLICIES'];

/** Returns flows as a table, with times as they are at `now`. */
export function deniedTable(flows: readonly DeniedFlow[], now: number): string {
  if (flows.length === 0) return 'Nothing was refused lately\n';
  const rows = flows.map((flow) => [
    ago(flow.lastSeen, now),
    ago(flow.firstSeen, now),
    String(flow.packets),
    ...columnsOf(flow),
  ]);
  const all = [HEAD, ...rows];
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map(
      (row) =>
        `${row
          .map((text, column) => text.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Returns flows one a line, as they are printed one after the other. */
export function deniedLines(flows: readonly DeniedFlow[]): string {
  return flows
    .map((flow) => {
      const [refused, from, to, port, policies] = columnsOf(flow);
      return `${flow.lastSeen} ${refused} ${from} -> ${to} ${port} packets=${flow.packets} policies=${policies}\n`;
    })
    .join('');
}

function columnsOf({ audit, direction, from, to, protocol, port, policies }: DeniedFlow): readonly string[] {
  return [
    audit ? `${direction} (audit)` : direction,
    endText(from),
    endText(to),
    printable(port === null ? protocol : `${port}/${protocol}`),
    policies.length === 0 ? '-' : policies.map(printable).join(','),
  ];
}

function endText({ address, pod }: FlowEnd): string {
  return printable(pod === null ? address : `${pod} (${address})`);
}

function ago(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 120) return `${seconds}s ago`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)}m ago` : `${Math.floor(seconds / 3600)}h ago`;
}
