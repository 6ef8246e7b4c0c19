type Chains = ReadonlyMap<string, readonly string[]>;

const HOLDERS: Readonly<Record<string, string>> = { E: 'NWPLCY-EGRESS', S: 'NWPLCY-SOURCES', I: 'NWPLCY-INGRESS' };
const TO_SOURCES = '-g NWPLCY-SOURCES';

/**
 * Returns the chains with every hook in the chain that ADD puts it into, sorted, and without buckets: where a hook stands depends on what else came
 * and went. Throws an `Error` for a bucket that a packet could miss, or fall out of.
 */
export function unbucketed(chains: Chains): Chains {
  const result = new Map([...chains].filter(([name]) => holderOf(name) === undefined));
  for (const holder of Object.values(HOLDERS)) {
    const own = [...chains].filter(([name]) => holderOf(name) === holder);
    const head = result.get(holder);
    if (head === undefined) continue;
    expectOrder(holder, head);
    for (const [name, rules] of own) {
      if (!head.some((rule) => rule.endsWith(` -g ${name}`))) throw new Error(`Nothing leads to ${name}`);
      if (holder === HOLDERS['E'] && rules.at(-1) !== TO_SOURCES)
        throw new Error(`${name} does not end in ${TO_SOURCES}`);
    }
    const hooks = [head, ...own.map(([, rules]) => rules)]
      .flat()
      .filter((rule) => rule !== TO_SOURCES && bucketOf(rule) === undefined);
    result.set(holder, hooks.toSorted());
  }
  return result;
}

/** Hooks stand before what leads to buckets, and in the chain of interfaces the way to the sources comes last, once. */
function expectOrder(holder: string, rules: readonly string[]): void {
  const kinds = rules.map((rule) => (rule === TO_SOURCES ? 'C' : bucketOf(rule) === undefined ? 'A' : 'B')).join('');
  const expected = holder === HOLDERS['E'] ? /^A*B*C$/ : /^A*B*$/;
  if (!expected.test(kinds)) throw new Error(`${holder} is out of order (${kinds}):\n${rules.join('\n')}`);
}

function bucketOf(rule: string): string | undefined {
  return / -g (NWPLCY-B[EIS]-\S+)$/.exec(rule)?.[1];
}

function holderOf(name: string): string | undefined {
  return HOLDERS[/^NWPLCY-B([EIS])-/.exec(name)?.[1] ?? ''];
}
