import { describe, expect, test } from 'vitest';
import { JUMPS } from '../../../src/rules/iptables/entryChains.ts';
import { jumpStates, parseChains } from '../../../src/rules/iptables/kernelChains.ts';

describe('what iptables -S prints', () => {
  test('is read chain by chain, rules in order and as they stand', () => {
    const text = [
      '-P FORWARD DROP',
      '-N NWPLCY-REJECT',
      '-N NWPLCY-INGRESS',
      '-A FORWARD -j KUBE-NWPLCY-CHAIN',
      '-A NWPLCY-REJECT -m conntrack --ctstate INVALID -j DROP',
      '-A NWPLCY-REJECT -j REJECT --reject-with icmp-port-unreachable',
      '-A NWPLCY-INGRESS -d 10.0.0.1/32 -m comment --comment "shop/web -A x" -g NWPLCY-REJECT',
      '',
    ].join('\n');
    expect([...parseChains(text)]).toEqual([
      ['FORWARD', ['-j KUBE-NWPLCY-CHAIN']],
      ['NWPLCY-REJECT', ['-m conntrack --ctstate INVALID -j DROP', '-j REJECT --reject-with icmp-port-unreachable']],
      ['NWPLCY-INGRESS', ['-d 10.0.0.1/32 -m comment --comment "shop/web -A x" -g NWPLCY-REJECT']],
    ]);
  });

  test.for([
    '',
    '# Warning: iptables-legacy tables present\n',
    'COMMIT\n',
    '*filter\n',
    ' -A FORWARD -j X\n',
    '-X FORWARD\n',
  ])('"%s" has no chain', (text) => {
    expect(parseChains(text)).toEqual(new Map());
  });
});

describe('our jumps', () => {
  const states = (forward: readonly string[], output: readonly string[]) =>
    jumpStates(
      new Map([
        ['FORWARD', forward],
        ['OUTPUT', output],
      ]),
    );
  const { FORWARD, OUTPUT } = JUMPS;
  const foreign = '-j KUBE-FORWARD';

  test.for([
    {
      what: 'none',
      forward: [foreign],
      output: [foreign],
      state: [
        [0, false],
        [0, false],
      ],
    },
    {
      what: 'in place',
      forward: [FORWARD, foreign],
      output: [foreign, OUTPUT],
      state: [
        [1, true],
        [1, true],
      ],
    },
    {
      what: 'behind another rule in FORWARD',
      forward: [foreign, FORWARD],
      output: [OUTPUT],
      state: [
        [1, false],
        [1, true],
      ],
    },
    {
      what: 'twice',
      forward: [FORWARD, foreign, FORWARD],
      output: [OUTPUT, OUTPUT],
      state: [
        [2, true],
        [2, true],
      ],
    },
    {
      what: 'another’s that looks like ours',
      forward: [`${FORWARD}S`, `-s 10.0.0.1/32 ${FORWARD}`],
      output: [FORWARD],
      state: [
        [0, false],
        [0, false],
      ],
    },
  ])('$what', ({ forward, output, state }) => {
    const { FORWARD: first, OUTPUT: second } = states(forward, output);
    expect([first, second].map(({ count, inPlace }) => [count, inPlace])).toEqual(state);
  });

  test('none where a chain was not read', () => {
    expect(jumpStates(new Map())).toEqual({
      FORWARD: { count: 0, inPlace: false },
      OUTPUT: { count: 0, inPlace: false },
    });
  });
});
