import { mkdirSync, writeFileSync } from 'node:fs';
import { env, getuid } from 'node:process';
import { add } from './add.ts';
import { agent } from './agent.ts';
import { compile } from './compile.ts';
import { demand } from './demand.ts';
import { load, machine } from './machine.ts';
import type { Part } from './part.ts';
import { path } from './path.ts';
import { react } from './react.ts';
import { jsonRows, markdown } from './report.ts';

// node bench/main.ts: measures the product on this machine, part after part, in network namespaces that go with it. ONLY=add,react measures these
// parts, FULL=1 every size. Figures go to standard output as Markdown and to bench/results, progress goes to standard error.

const PARTS: Readonly<Record<string, Part>> = { add, react, path, agent, watch: demand, compile };
const RESULTS = `${import.meta.dirname}/results`;

if (getuid?.() !== 0) throw new Error('Cannot measure: network namespaces need root, run "sudo make bench"');
mkdirSync(RESULTS, { recursive: true });
for (const name of chosen()) await measure(name);

function chosen(): readonly string[] {
  const names = (env['ONLY'] ?? '').split(',').filter((name) => name !== '');
  const unknown = names.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0)
    throw new Error(`Cannot measure ${unknown.join(', ')}: the parts are ${Object.keys(PARTS).join(', ')}`);
  return names.length > 0 ? names : Object.keys(PARTS);
}

async function measure(name: string): Promise<void> {
  const part = PARTS[name];
  if (part === undefined) return;
  const full = (env['FULL'] ?? '') !== '';
  const say = (text: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${name}: ${text}\n`);
  const before = load();
  const started = performance.now();
  const report = await part({ full, say });
  const seconds = Math.round((performance.now() - started) / 1000);
  const { processors, kernel, node } = machine();
  const text = [
    `## ${name}`,
    '',
    `${processors}, kernel ${kernel}, Node ${node}; ${seconds} s; load of the machine ${before} before, ${load()} after (its own included).`,
    '',
    markdown(report),
  ].join('\n');
  process.stdout.write(`${text}\n`);
  writeFileSync(`${RESULTS}/${name}.md`, text);
  const facts = {
    part: name,
    at: new Date().toISOString(),
    full,
    seconds,
    load: { before, after: load() },
    ...machine(),
  };
  writeFileSync(
    `${RESULTS}/${name}.json`,
    JSON.stringify({ ...facts, rows: jsonRows(report), notes: report.notes }, undefined, 2),
  );
}
